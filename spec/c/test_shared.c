/* shared: what Redis holds of a response, and which responses it refuses to store. Needs
 * REDIS_TEST_URL. */
#include "cache/cache_internal.h"
#include "caches.h"

static struct shared *shared;
static struct cache *announcing; /* without a subscription */
static const uint64_t tag_x[] = {11}, tag_y[] = {22};
static const struct cache_key test_k = {.text = {"test:k", 6}, .type = "test", .scripts = 1};

static void put(struct cached_response *answer, const uint64_t *tags, size_t count,
                uint64_t sequence) {
    struct shared_hit hit = {.response = answer, .tag_count = count, .sequence = sequence};
    static const struct cache_key other = {
        .text = {"test:other", 10}, .type = "test", .scripts = 1};
    hit.tags = (uint64_t *)tags;
    shared_put(shared, &test_k, VIEW, &hit, 60);
    shared_get(shared, &other, VIEW, &hit); /* over the same connection: Redis is done with it */
}

static struct cache *create_announcing(void) {
    const struct cache_options options = {
        .redis_url = url, .redis_timeout_ms = 2000, .enabled = true};
    return cache_create(&options, &err);
}

static void store_after(void (*meanwhile)(void), const char *want, const char *name) {
    begin();
    shared = shared_create(url, 2000, &err);
    announcing = create_announcing();
    struct redis *redis = redis_create(url, 2000, &err);
    /* One invalidation before, so that there is a sequence. */
    struct cache_announcement about_y = {.tags = tag_y, .tag_count = 1};
    CHECK(cache_append_announcement(announcing, redis, &about_y, &err) &&
          redis_run(redis, NULL, NULL, &err));
    struct shared_hit hit;
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(hit.reachable && !hit.response && hit.sequence > 0);
    if (meanwhile) {
        meanwhile();
    }
    struct cached_response *answer = cached_response_create(200, slice_of("read before"));
    put(answer, tag_x, 1, hit.sequence);
    if (strcmp(command("GET", "test:k", NULL), want) != 0) {
        TEST_FAIL("%s: Redis holds \"%s\"", name, command("GET", "test:k", NULL));
    }
    cached_response_unref(answer);
    redis_destroy(redis);
    cache_destroy(announcing);
    shared_destroy(shared);
}

/* So many tags, so many times. */
static void invalidate(const uint64_t *tags, size_t count, int times) {
    struct cache_announcement about = {.tags = tags, .tag_count = count};
    struct redis *redis = redis_create(url, 5000, &err);
    for (int i = 0; i < times; i++) {
        CHECK(cache_append_announcement(announcing, redis, &about, &err));
    }
    CHECK_OK(redis_run(redis, NULL, NULL, &err), &err);
    redis_destroy(redis);
}

static void invalidate_x(void) {
    invalidate(tag_x, 1, 1);
}

static void invalidate_y(void) {
    invalidate(tag_y, 1, 1);
}

static void lose_memory(void) {
    command("FLUSHDB", NULL, NULL);
}

static void lose_memory_and_go_on(void) {
    invalidate_x();
    lose_memory();
    for (int i = 0; i < 50; i++) { /* a sequence that counts from one would pass the old value */
        invalidate_y();
    }
}

static void lose_the_recent_ones(void) {
    invalidate_y();
    command("DEL", "ras:cache:recent", NULL);
}

static void invalidate_y_as_often_as_is_kept(void) {
    invalidate(tag_y, 1, 255);
}

static void invalidate_y_often_and_x(void) {
    invalidate(tag_y, 1, 15);
    invalidate_x();
}

static void invalidate_x_and_y_more_often_than_is_kept(void) {
    invalidate_x();
    invalidate(tag_y, 1, 256);
}

static void invalidate_others(uint64_t count) {
    uint64_t *tags = calloc(count, sizeof *tags);
    for (uint64_t i = 0; i < count; i++) {
        tags[i] = 1000 + i;
    }
    invalidate(tags, count, 1);
    free(tags);
}

static void invalidate_as_many_others_as_are_looked_at(void) {
    invalidate_others(4000);
}

static void invalidate_more_others(void) {
    invalidate_others(4001);
}

static void an_outdated_response_is_not_stored_in_redis(void) {
    store_after(NULL, "read before", "nothing happened");
    store_after(invalidate_y, "read before", "another tag was invalidated");
    store_after(invalidate_y_as_often_as_is_kept, "read before", "another tag, often");
    store_after(invalidate_as_many_others_as_are_looked_at, "read before", "many other tags");
    store_after(invalidate_y_often_and_x, "", "its tag, after another often");
    store_after(invalidate_x_and_y_more_often_than_is_kept, "", "its tag, and too often others");
    store_after(invalidate_more_others, "", "more tags than are looked at");
    store_after(lose_the_recent_ones, "", "which tags were invalidated was lost");
    store_after(invalidate_x, "", "its tag was invalidated");
    store_after(lose_memory, "", "the memory was lost");
    store_after(lose_memory_and_go_on, "", "the memory was lost with the invalidation in it");
}

static void a_hit_has_its_surrogate_keys_and_its_lifetime(void) {
    begin();
    shared = shared_create(url, 2000, &err);
    static const uint64_t tags[] = {11, 0xFFFFFFFFFFFFFFFFULL, 33};
    struct cached_response *answer = cached_response_create(200, slice_of("body"));
    struct shared_hit hit;
    put(answer, tags, 3, 0);
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(hit.response && hit.tag_count == 3 && memcmp(hit.tags, tags, sizeof tags) == 0);
    CHECK(hit.lifetime_us > 50000000 && hit.lifetime_us <= 60000000);
    CHECK_TEXT(hit.response ? hit.response->etag : "", answer->etag);
    cached_response_unref(hit.response);
    free(hit.tags);
    cached_response_unref(answer);
    shared_destroy(shared);
}

static void a_response_of_another_generation_is_a_miss(void) {
    begin();
    shared = shared_create(url, 2000, &err);
    struct cached_response *answer = cached_response_create(200, slice_of("by one"));
    struct cache_key others = test_k;
    struct shared_hit hit;
    put(answer, tag_x, 1, 0);
    others.scripts++;
    shared_get(shared, &others, VIEW, &hit);
    CHECK(hit.reachable && !hit.response);
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(hit.response);
    cached_response_unref(hit.response);
    free(hit.tags);
    cached_response_unref(answer);
    shared_destroy(shared);
}

static void foreign_bytes_under_our_keys_are_a_miss(void) {
    begin();
    shared = shared_create(url, 2000, &err);
    struct shared_hit hit;
    command("SET", "test:k", "without tags");
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(hit.reachable && !hit.response);
    command("SET", "ras:cache:tags:test:k", "seven b");
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(hit.reachable && !hit.response);
    command("DEL", "test:k", "ras:cache:tags:test:k");
    command("RPUSH", "test:k", "a list");
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(!hit.response);
    command("RPUSH", "ras:cache:seq", "a list");
    shared_get(shared, &test_k, VIEW, &hit);
    CHECK(!hit.reachable && !hit.response);
    shared_destroy(shared);
    begin();
}

static const struct test_case cases[] = {
    {"an outdated response is not stored in Redis", an_outdated_response_is_not_stored_in_redis},
    {"a hit has its surrogate keys and its lifetime",
     a_hit_has_its_surrogate_keys_and_its_lifetime},
    {"a response of another generation is a miss", a_response_of_another_generation_is_a_miss},
    {"foreign bytes under our keys are a miss", foreign_bytes_under_our_keys_are_a_miss},
};

TEST_MAIN(cases)

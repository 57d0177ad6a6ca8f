/* cache with Redis: the caches of two processes in one, each with its subscription. Also run under
 * ThreadSanitizer. Needs REDIS_TEST_URL. */
#include "cache/cache_internal.h"
#include "caches.h"

/* ---- two processes ------------------------------------------------------------------------ */

static void one_process_reads_what_the_other_stored(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct recipe mine = {.body = "{\"v\":1}", .tag = 1}, never = {.body = "never", .tag = 1};
    CHECK_TEXT(get(a, "test:k", &mine), "{\"v\":1}");
    settle(a);
    CHECK_TEXT(command("GET", "test:k", NULL), "{\"v\":1}"); /* the pure JSON under the key */
    CHECK_TEXT(get(b, "test:k", &never), "{\"v\":1}");
    CHECK_INT(never.computed, 0);
    CHECK(has(b, "test:k")); /* and keeps it in its own memory */
    cache_destroy(a);
    cache_destroy(b);
}

static void an_invalidation_by_one_process_drops_it_in_both(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    struct recipe other = {.body = "other", .tag = 2};
    get(a, "test:k", &old);
    get(b, "test:k", &old);
    get(b, "test:other", &other);
    announce(b, &(uint64_t){1}, 1);
    CHECK(!has(b, "test:k"));
    WAIT_UNTIL(!has(a, "test:k"));
    CHECK(has(b, "test:other"));
    CHECK_TEXT(get(a, "test:k", &new), "new");
    settle(a);
    CHECK_TEXT(get(b, "test:k", &old), "new");
    cache_destroy(a);
    cache_destroy(b);
}

/* A message of another process, which follows the own one, shows that this has arrived. */
static void an_own_announcement_that_comes_back_drops_nothing(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    struct recipe other = {.body = "other", .tag = 2};
    struct cache_pending pending = {0};
    get(a, "test:k", &old);
    get(a, "test:other", &other);
    cache_invalidate_pending(a, &(uint64_t){1}, 1, &pending);
    CHECK_TEXT(get(a, "test:k", &new), "new"); /* computed before its announcement is sent */
    announce_only(a, &(uint64_t){1}, 1);
    cache_end_pending(a, &pending);
    announce(b, &(uint64_t){2}, 1);
    WAIT_UNTIL(!has(a, "test:other"));
    CHECK(has(a, "test:k"));
    cache_destroy(a);
    cache_destroy(b);
}

/* As an audit's: until Redis has executed it, this process may take from Redis what it outdates. */
static void an_own_announcement_of_tags_that_are_not_pending_drops_what_redis_still_had(void) {
    static const uint64_t tag = 1;
    struct cache_announcement announcement = {.tags = &tag, .tag_count = 1};
    struct recipe old = {.body = "old", .tag = tag}, new = {.body = "new", .tag = tag};
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    get(b, "test:k", &old);
    settle(b);
    cache_invalidate(a, &tag, 1);
    CHECK_TEXT(get(a, "test:k", &new), "old");
    CHECK(has(a, "test:k"));
    struct redis *redis = redis_create(url, 5000, &err);
    CHECK_OK(cache_append_announcement(a, redis, &announcement, &err) &&
                 redis_run(redis, NULL, NULL, &err),
             &err);
    WAIT_UNTIL(!has(a, "test:k"));
    redis_destroy(redis);
    cache_destroy(a);
    cache_destroy(b);
}

/* The reader of one process, the writer of another: nothing outdated is stored in Redis. */
static void a_slow_reader_cannot_store_in_redis_what_another_process_outdated(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct recipe old = {.body = "old", .tag = 1, .announce_on = b};
    CHECK_TEXT(get(a, "test:k", &old), "old");
    settle(a);
    CHECK_TEXT(command("GET", "test:k", NULL), "");
    struct recipe new = {.body = "new", .tag = 1};
    CHECK_TEXT(get(b, "test:k", &new), "new");
    CHECK(has(b, "test:k"));
    WAIT_UNTIL(!has(a, "test:k"));
    settle(b);
    CHECK_TEXT(get(a, "test:k", &old), "new");
    cache_destroy(a);
    cache_destroy(b);
}

static void a_process_reads_nothing_from_redis_that_its_own_commit_outdated(void) {
    begin();
    struct cache *a = start(url, 2000);
    WAIT_UNTIL(hears(a));
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    struct cache_pending pending = {0};
    get(a, "test:k", &old);
    settle(a);
    CHECK_TEXT(command("GET", "test:k", NULL), "old");
    cache_invalidate_pending(a, &(uint64_t){1}, 1, &pending); /* its announcement is on the way */
    CHECK_TEXT(get(a, "test:k", &new), "new");
    cache_invalidate_pending(a, &(uint64_t){1}, 1, &pending); /* and another follows */
    cache_end_pending(a, &pending);
    settle(a);
    command("DEL", "test:k", NULL);
    get(a, "test:k", &old);
    settle(a);
    cache_invalidate(a, &(uint64_t){1}, 1);
    CHECK_TEXT(get(a, "test:k", &new), "new");
    cache_end_pending(a, &pending);
    settle(a);
    cache_invalidate(a, &(uint64_t){1}, 1); /* by another process, that Redis has done with */
    new.computed = 0;
    get(a, "test:k", &new);
    CHECK_INT(new.computed, 0);
    cache_destroy(a);
}

static void thousands_of_surrogate_keys_are_announced_at_once(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    static uint64_t tags[5000];
    for (uint64_t i = 0; i < 5000; i++) {
        tags[i] = i * 0x9E3779B97F4A7C15ULL;
    }
    struct recipe recipe = {.body = "old", .tag = tags[4321]};
    get(a, "test:k", &recipe);
    settle(a);
    announce(b, tags, 5000);
    WAIT_UNTIL(!has(a, "test:k"));
    CHECK_TEXT(command("GET", "test:k", NULL), "");
    cache_destroy(a);
    cache_destroy(b);
}

/* ---- whose responses ----------------------------------------------------------------------- */

static void two_services_on_one_redis_do_not_share_responses(void) {
    begin();
    struct cache *a = start(url, 2000);
    WAIT_UNTIL(hears(a));
    struct cache *b = start_reading(url, 2000, VIEW + 1);
    WAIT_UNTIL(hears(b));
    struct recipe mine = {.body = "mine", .tag = 1}, yours = {.body = "yours", .tag = 1};
    get(a, "test:k", &mine);
    settle(a);
    CHECK_TEXT(command("GET", "test:k", NULL), "mine");
    CHECK_TEXT(get(b, "test:k", &yours), "yours");
    cache_destroy(a);
    cache_destroy(b);
}

static void redis_is_not_used_before_the_database_is_known(void) {
    begin();
    struct cache *a = start(url, 2000);
    WAIT_UNTIL(hears(a));
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    get(a, "test:k", &old);
    settle(a);
    CHECK_TEXT(command("GET", "test:k", NULL), "old");
    struct cache *b = start_reading(url, 2000, 0);
    CHECK_TEXT(get(b, "test:k", &new), "new");
    cache_destroy(a);
    cache_destroy(b);
}

static void another_database_drops_the_responses_of_a_process(void) {
    begin();
    struct cache *cache = start(url, 2000);
    WAIT_UNTIL(hears(cache));
    cache_set_view(cache, VIEW);
    CHECK(has(cache, "test:probe"));
    cache_set_view(cache, VIEW + 1);
    CHECK(!has(cache, "test:probe"));
    cache_destroy(cache);
}

static void a_damaged_response_is_a_miss_and_counted(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct metric_cell *damaged = metric_single(METRIC_COUNTER, "ras_cache_damaged_total", "");
    double before = metric_value(damaged);
    struct recipe mine = {.body = "{\"v\":1}", .tag = 1}, again = {.body = "again", .tag = 1};
    get(a, "test:k", &mine);
    settle(a);
    command("SET", "test:k", "{\"v\":2}");
    CHECK_TEXT(get(b, "test:k", &again), "again");
    CHECK_INT((int)(metric_value(damaged) - before), 1);
    cache_destroy(a);
    cache_destroy(b);
}

/* ---- stale responses ------------------------------------------------------------------------ */

static const struct cache_key aging = {.text = {"test:aging", 10},
                                       .type = "test",
                                       .scripts = 1,
                                       .ages = {.ttl_s = 1, .stale_if_error_s = 60}};

static struct cached_response *fail(void *context, uint64_t **tags, size_t *tag_count,
                                    struct err *error) {
    (void)context, (void)tags, (void)tag_count;
    err_set(error, ERR_UNAVAILABLE, "no database");
    return NULL;
}

/* "BODY", "BODY (stale)" or the error. */
static const char *get_aging(struct cache *cache, cache_compute compute, void *context) {
    static char text[128];
    struct cache_serving serving;
    struct cached_response *response =
        cache_get(cache, &aging, 5000, compute, context, &serving, &err);
    snprintf(text, sizeof text, "%.99s%s", response ? response->body.data : err.text,
             serving.stale ? " (stale)" : "");
    cached_response_unref(response);
    return text;
}

static void a_process_falls_back_on_what_is_stale_in_redis(void) {
    begin();
    struct cache *a = start(url, 2000), *b = start_beside(a);
    struct recipe recipe = {.body = "one", .tag = 1};
    CHECK_TEXT(get_aging(a, make, &recipe), "one");
    settle(a);
    int64_t aged_us = clock_monotonic_us() + aging.ages.ttl_s * 1000000LL;
    WAIT_UNTIL(clock_monotonic_us() > aged_us);
    CHECK_TEXT(get_aging(b, fail, NULL), "one (stale)");
    CHECK_TEXT(get_aging(a, fail, NULL), "one (stale)");
    announce(a, &(uint64_t){1}, 1);
    CHECK_TEXT(get_aging(a, fail, NULL), "no database");
    WAIT_UNTIL(strcmp(get_aging(b, fail, NULL), "no database") == 0);
    cache_destroy(a);
    cache_destroy(b);
}

static const struct test_case cases[] = {
    {"a process falls back on what is stale in Redis",
     a_process_falls_back_on_what_is_stale_in_redis},
    {"one process reads what the other stored", one_process_reads_what_the_other_stored},
    {"an invalidation by one process drops it in both",
     an_invalidation_by_one_process_drops_it_in_both},
    {"an own announcement that comes back drops nothing",
     an_own_announcement_that_comes_back_drops_nothing},
    {"an own announcement of tags that are not pending drops what Redis still had",
     an_own_announcement_of_tags_that_are_not_pending_drops_what_redis_still_had},
    {"a slow reader cannot store in Redis what another process outdated",
     a_slow_reader_cannot_store_in_redis_what_another_process_outdated},
    {"a process reads nothing from Redis that its own commit outdated",
     a_process_reads_nothing_from_redis_that_its_own_commit_outdated},
    {"thousands of surrogate keys are announced at once",
     thousands_of_surrogate_keys_are_announced_at_once},
    {"two services on one Redis do not share responses",
     two_services_on_one_redis_do_not_share_responses},
    {"Redis is not used before the database is known",
     redis_is_not_used_before_the_database_is_known},
    {"another database drops the responses of a process",
     another_database_drops_the_responses_of_a_process},
    {"a damaged response is a miss and counted", a_damaged_response_is_a_miss_and_counted},
};

TEST_MAIN(cases)

/* store: the process level of the cache: bounded, evicts the least recently used, drops by
 * surrogate key. */
#include "cache/cache_internal.h"
#include "cache_keys.h"
#include "test.h"

#define HOUR_US 3600000000LL

static struct store store;
static struct metric_cell *hits;

static void begin(size_t max_bytes) {
    store_init(&store, max_bytes);
    hits = metric_cell(metric_family(METRIC_COUNTER, "test_store_hits", "Test.", ""));
}

static void put(const char *key, size_t bytes, const uint64_t *tags, size_t count, uint64_t began) {
    char *body = calloc(1, bytes + 1);
    struct cached_response *answer = cached_response_create(200, (struct slice){body, bytes});
    struct cache_key of = key_of(key);
    store_put(&store, &of, answer, tags, count, began, HOUR_US, hits);
    cached_response_unref(answer);
    free(body);
}

static bool has_of(const char *key, uint64_t scripts) {
    struct cache_key wanted = key_of(key);
    wanted.scripts = scripts;
    struct cached_response *answer = store_find(&store, &wanted).response;
    cached_response_unref(answer);
    return answer != NULL;
}

static bool has(const char *key) {
    return has_of(key, 1);
}

static void the_least_recently_used_goes_first(void) {
    static const uint64_t tag[] = {1};
    begin(10000);
    put("a", 2500, tag, 1, 0);
    put("b", 2500, tag, 1, 0);
    put("c", 2500, tag, 1, 0);
    CHECK(has("a"));
    put("d", 2500, tag, 1, 0);
    CHECK(has("a") && !has("b") && has("c") && has("d"));
    CHECK(store.bytes <= 10000);
    store_free(&store);
}

static void the_bound_holds_for_any_sizes(void) {
    begin(50000);
    uint32_t seed = 3;
    for (int i = 0; i < 5000; i++) {
        char key[16];
        uint64_t tags[3] = {test_draw(&seed, 50), test_draw(&seed, 50), test_draw(&seed, 50)};
        snprintf(key, sizeof key, "k%u", test_draw(&seed, 300));
        put(key, test_draw(&seed, 5000), tags, test_draw(&seed, 4), store.sequence);
        CHECK(store.bytes <= 50000);
        if (test_draw(&seed, 20) == 0) {
            store_invalidate(&store, tags, 2);
        }
    }
    store_free(&store);
}

static void a_response_larger_than_the_cache_is_not_stored(void) {
    static const uint64_t tag[] = {1};
    begin(1000);
    put("small", 10, tag, 1, 0);
    put("large", 2000, tag, 1, 0);
    CHECK(has("small") && !has("large"));
    store_free(&store);
    begin(0);
    put("small", 10, tag, 1, 0);
    CHECK(!has("small"));
    store_free(&store);
}

static void a_new_response_replaces_the_old_one(void) {
    static const uint64_t old_tag[] = {1}, new_tag[] = {2};
    begin(10000);
    put("a", 100, old_tag, 1, 0);
    put("a", 200, new_tag, 1, 0);
    store_invalidate(&store, old_tag, 1);
    CHECK(has("a"));
    store_invalidate(&store, new_tag, 1);
    CHECK(!has("a"));
    CHECK_INT(store.bytes, 0);
    store_free(&store);
}

static void surrogate_keys_drop_their_responses_and_no_others(void) {
    static const uint64_t one[] = {1, 2}, two[] = {2, 3}, same_bucket[] = {1 + CACHE_BUCKETS};
    begin(100000);
    put("one", 10, one, 2, 0);
    put("two", 10, two, 2, 0);
    put("three", 10, same_bucket, 1, 0);
    store_invalidate(&store, one, 1);
    CHECK(!has("one") && has("two") && has("three"));
    store_invalidate(&store, two, 2);
    CHECK(!has("two") && has("three"));
    store_free(&store);
}

static void a_response_older_than_an_invalidation_is_not_stored(void) {
    static const uint64_t tag[] = {1}, other[] = {2}, same_bucket[] = {1 + CACHE_BUCKETS};
    begin(100000);
    uint64_t began = store.sequence;
    store_invalidate(&store, tag, 1);
    put("a", 10, tag, 1, began);
    CHECK(!has("a"));
    put("b", 10, other, 1, began);
    CHECK(has("b"));
    put("c", 10, same_bucket, 1, began); /* same bucket: refused */
    CHECK(!has("c"));
    put("a", 10, tag, 1, store.sequence);
    CHECK(has("a"));
    store_free(&store);
}

static void a_response_without_surrogate_keys_lives_until_any_invalidation(void) {
    static const uint64_t tag[] = {1};
    begin(100000);
    put("a", 10, NULL, 0, store.sequence);
    CHECK(has("a"));
    store_invalidate(&store, tag, 1);
    CHECK(!has("a"));
    put("a", 10, NULL, 0, store.sequence - 1);
    CHECK(!has("a"));
    store_free(&store);
}

static void a_reset_drops_all_and_refuses_responses_under_way(void) {
    static const uint64_t tag[] = {1};
    begin(100000);
    put("a", 10, tag, 1, store.sequence);
    uint64_t began = store.sequence;
    store_reset(&store);
    CHECK(!has("a"));
    put("b", 10, tag, 1, began);
    CHECK(!has("b"));
    put("b", 10, tag, 1, store.sequence);
    CHECK(has("b"));
    store_free(&store);
}

static void a_response_of_other_scripts_is_a_miss(void) {
    static const uint64_t tag[] = {1};
    begin(100000);
    put("a", 10, tag, 1, 0);
    CHECK(!has_of("a", 2));
    CHECK(has_of("a", 1));
    store_free(&store);
}

static void a_response_outlives_its_entry(void) {
    static const uint64_t tag[] = {1};
    begin(100000);
    put("a", 10, tag, 1, 0);
    struct cache_key key = key_of("a");
    struct cached_response *held = store_find(&store, &key).response;
    store_invalidate(&store, tag, 1);
    CHECK_INT(held->body.len, 10);
    CHECK_INT(held->body.data[9], 0);
    cached_response_unref(held);
    store_free(&store);
}

static void repeated_surrogate_keys_are_harmless(void) {
    static const uint64_t tags[] = {7, 7, 7, 8};
    begin(100000);
    put("a", 10, tags, 4, 0);
    put("b", 10, tags, 4, 0);
    store_invalidate(&store, tags, 4);
    CHECK(!has("a") && !has("b"));
    CHECK_INT(store.bytes, 0);
    store_free(&store);
}

static const struct test_case cases[] = {
    {"the least recently used goes first", the_least_recently_used_goes_first},
    {"the bound holds for any sizes", the_bound_holds_for_any_sizes},
    {"a response larger than the cache is not stored",
     a_response_larger_than_the_cache_is_not_stored},
    {"a new response replaces the old one", a_new_response_replaces_the_old_one},
    {"surrogate keys drop their responses and no others",
     surrogate_keys_drop_their_responses_and_no_others},
    {"a response older than an invalidation is not stored",
     a_response_older_than_an_invalidation_is_not_stored},
    {"a response without surrogate keys lives until any invalidation",
     a_response_without_surrogate_keys_lives_until_any_invalidation},
    {"a reset drops all and refuses responses under way",
     a_reset_drops_all_and_refuses_responses_under_way},
    {"a response of other scripts is a miss", a_response_of_other_scripts_is_a_miss},
    {"a response outlives its entry", a_response_outlives_its_entry},
    {"repeated surrogate keys are harmless", repeated_surrogate_keys_are_harmless},
};

TEST_MAIN(cases)

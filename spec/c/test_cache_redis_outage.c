/* cache without Redis: what processes do while it is down, cut off, frozen or slow, and once it is
 * back or another one. Also run under ThreadSanitizer. Needs REDIS_TEST_URL. */
#include "cache/cache_internal.h"
#include "caches.h"

static struct proxy proxy;

static struct cache *start_behind_proxy(int timeout_ms) {
    char through[64];
    proxy_start(&proxy, proxy_url_port(test_url("REDIS_TEST_URL")));
    snprintf(through, sizeof through, "redis://127.0.0.1:%d/7", proxy.port);
    return start(through, timeout_ms);
}

static void a_lost_subscription_bypasses_the_process_level(void) {
    begin();
    struct cache *a = start_behind_proxy(500), *b = start_beside(a);
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    get(a, "test:k", &old);
    CHECK(has(a, "test:k"));
    proxy.mode = PROXY_CUT;
    WAIT_UNTIL(!has(a, "test:k"));
    announce(b, &(uint64_t){1}, 1); /* a does not receive it */
    CHECK_TEXT(get(a, "test:k", &new), "new");
    CHECK(!has(a, "test:k"));
    proxy.mode = PROXY_PASS;
    WAIT_UNTIL(hears(a));
    CHECK_TEXT(get(a, "test:k", &new), "new");
    CHECK(has(a, "test:k"));
    cache_destroy(a);
    cache_destroy(b);
    proxy_stop(&proxy);
}

static void a_lost_subscription_drops_nothing_in_other_processes(void) {
    begin();
    struct cache *a = start_behind_proxy(500), *b = start_beside(a);
    struct recipe recipe = {.body = "kept", .tag = 1};
    get(b, "test:k", &recipe);
    settle(b);
    proxy.mode = PROXY_CUT;
    WAIT_UNTIL(!has(a, "test:probe"));
    proxy.mode = PROXY_PASS;
    WAIT_UNTIL(hears(a));
    CHECK(has(b, "test:k"));
    CHECK_TEXT(get(a, "test:k", &recipe), "kept");
    CHECK_INT(recipe.computed, 1); /* it is still in Redis */
    cache_destroy(a);
    cache_destroy(b);
    proxy_stop(&proxy);
}

static void the_contents_of_a_restarted_redis_are_void(void) {
    begin();
    struct cache *a = start(url, 2000);
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    WAIT_UNTIL(hears(a));
    get(a, "test:k", &old);
    settle(a);
    cache_destroy(a);
    command("SET", "ras:cache:run", "of another server");
    a = start(url, 2000);
    WAIT_UNTIL(hears(a));
    CHECK_TEXT(get(a, "test:k", &new), "new");
    cache_destroy(a);
}

/* The new server has no run id of a greeting: it is only another one to who has greeted before. */
static void an_empty_redis_in_place_of_a_greeted_one_counts_as_restarted(void) {
    begin();
    int before = drops("redis_restarted");
    struct cache *a = start_behind_proxy(500);
    WAIT_UNTIL(hears(a));
    CHECK_INT(drops("redis_restarted") - before, 0);
    proxy.mode = PROXY_CUT;
    WAIT_UNTIL(!hears(a));
    command("FLUSHDB", NULL, NULL);
    proxy.mode = PROXY_PASS;
    WAIT_UNTIL(hears(a));
    CHECK_INT(drops("redis_restarted") - before, 1);
    cache_destroy(a);
    proxy_stop(&proxy);
}

/* As after the process was frozen, before its threads have run. */
static void a_process_without_a_subscription_for_a_second_bypasses_its_memory(void) {
    begin();
    struct cache *a = start(url, 2000);
    WAIT_UNTIL(hears(a));
    cache_set_received(a, clock_monotonic_us() - 1000000);
    CHECK(!has(a, "test:probe"));
    WAIT_UNTIL(has(a, "test:probe")); /* a has received everything; the response is current */
    cache_destroy(a);
}

static void a_frozen_redis_bypasses_the_process_level(void) {
    begin();
    struct cache *a = start_behind_proxy(200);
    struct recipe recipe = {.body = "one", .tag = 1};
    WAIT_UNTIL(hears(a));
    get(a, "test:k", &recipe);
    proxy.mode = PROXY_FROZEN;
    WAIT_UNTIL(!has(a, "test:k"));
    int64_t started_us = clock_monotonic_us();
    for (int i = 0; i < 300; i++) { /* the breaker: few waits, not a minute of them */
        CHECK_TEXT(get(a, "test:k", &recipe), "one");
    }
    CHECK(clock_monotonic_us() - started_us < LONG_MS * 1000LL / 2);
    cache_destroy(a);
    proxy_stop(&proxy);
}

static void a_response_does_not_wait_for_redis(void) {
    begin();
    struct cache *a = start_behind_proxy(LONG_MS);
    struct recipe recipe = {.body = "one", .tag = 1, .freezes = &proxy};
    WAIT_UNTIL(hears(a));
    int64_t started_us = clock_monotonic_us();
    CHECK_TEXT(get(a, "test:k", &recipe), "one");
    CHECK(clock_monotonic_us() - started_us < LONG_MS * 1000LL / 2); /* Redis does not answer */
    proxy.mode = PROXY_PASS;
    WAIT_UNTIL(strcmp(command("GET", "test:k", NULL), "one") == 0);
    cache_destroy(a);
    proxy_stop(&proxy);
}

/* More than the sockets on the way hold. */
static void a_response_that_took_long_is_in_redis_when_it_is_returned(void) {
    begin();
    struct cache *a = start(url, LONG_MS);
    size_t len = 32UL * 1024 * 1024;
    struct recipe recipe = {.body = memset(calloc(1, len + 1), 'x', len), .tag = 1};
    WAIT_UNTIL(hears(a));
    get(a, "test:k", &recipe);
    CHECK_INT(strlen(command("GET", "test:k", NULL)), 127); /* all that it has room for */
    cache_destroy(a);
    free((char *)recipe.body);
}

static void it_works_without_redis(void) {
    struct cache *a = start("redis://127.0.0.1:1", 200);
    struct recipe recipe = {.body = "one", .tag = 1};
    for (int i = 0; i < 20; i++) {
        CHECK_TEXT(get(a, "test:k", &recipe), "one");
        CHECK(!has(a, "test:k")); /* invalidations of other processes could not arrive */
    }
    CHECK_INT(recipe.computed, 20);
    cache_destroy(a); /* also while the subscriber waits to try again */
}

static void a_bad_url_is_refused(void) {
    struct cache_options options = {.redis_url = "redisss://:s3cr3t@h", .enabled = true};
    CHECK(!cache_create(&options, &err));
    CHECK_HAS(err.text, "the Redis URL must be");
    CHECK(!strstr(err.text, "s3cr3t"));
}

/* ---- while Redis is asked ------------------------------------------------------------------- */

struct asking {
    struct cache *cache;
    struct recipe *recipe;
    char answer[128];
};

static void *ask(void *context) {
    struct asking *asking = context;
    snprintf(asking->answer, sizeof asking->answer, "%s",
             get(asking->cache, "test:k", asking->recipe));
    return NULL;
}

static bool is_asking(struct cache *cache) {
    pthread_mutex_lock(&cache->lock);
    bool is = cache->flights != NULL;
    pthread_mutex_unlock(&cache->lock);
    return is;
}

/* A request whose answer Redis has, and `meanwhile` before Redis replies: it has to be computed. */
static void check_computed_after(void (*meanwhile)(struct cache *cache)) {
    begin();
    struct cache *b = start(url, 2000), *a = start_behind_proxy(LONG_MS);
    struct recipe old = {.body = "old", .tag = 1}, new = {.body = "new", .tag = 1};
    struct asking asking = {.cache = a, .recipe = &new};
    pthread_t thread;
    WAIT_UNTIL(hears(b));
    get(b, "test:k", &old);
    settle(b);
    WAIT_UNTIL(hears(a));
    settle(a);
    proxy.mode = PROXY_FROZEN;
    CHECK(pthread_create(&thread, NULL, ask, &asking) == 0);
    WAIT_UNTIL(is_asking(a));
    pthread_mutex_lock(&a->lock);
    meanwhile(a);
    pthread_mutex_unlock(&a->lock);
    proxy.mode = PROXY_PASS;
    pthread_join(thread, NULL);
    CHECK_TEXT(asking.answer, "new");
    cache_destroy(a);
    cache_destroy(b);
    proxy_stop(&proxy);
}

static void miss_invalidations(struct cache *cache) {
    store_reset(&cache->store);
}

static void come_in_doubt(struct cache *cache) {
    cache->doubts++;
}

static void what_redis_had_is_not_used_after_invalidations_were_missed(void) {
    check_computed_after(miss_invalidations);
}

static void what_redis_had_is_not_used_once_the_cache_is_in_doubt(void) {
    check_computed_after(come_in_doubt);
}

static const struct test_case cases[] = {
    {"a lost subscription bypasses the process level",
     a_lost_subscription_bypasses_the_process_level},
    {"a lost subscription drops nothing in other processes",
     a_lost_subscription_drops_nothing_in_other_processes},
    {"what Redis had is not used after invalidations were missed",
     what_redis_had_is_not_used_after_invalidations_were_missed},
    {"what Redis had is not used once the cache is in doubt",
     what_redis_had_is_not_used_once_the_cache_is_in_doubt},
    {"the contents of a restarted Redis are void", the_contents_of_a_restarted_redis_are_void},
    {"an empty Redis in place of a greeted one counts as restarted",
     an_empty_redis_in_place_of_a_greeted_one_counts_as_restarted},
    {"a process without a subscription for a second bypasses its memory",
     a_process_without_a_subscription_for_a_second_bypasses_its_memory},
    {"a frozen Redis bypasses the process level", a_frozen_redis_bypasses_the_process_level},
    {"a response does not wait for Redis", a_response_does_not_wait_for_redis},
    {"a response that took long is in Redis when it is returned",
     a_response_that_took_long_is_in_redis_when_it_is_returned},
    {"it works without Redis", it_works_without_redis},
    {"a bad URL is refused", a_bad_url_is_refused},
};

TEST_MAIN(cases)

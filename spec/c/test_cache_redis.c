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

/* ---- Redis unavailable -------------------------------------------------------------------- */

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

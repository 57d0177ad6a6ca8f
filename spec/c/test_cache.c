/* cache without Redis: one computation for many callers, and no response older than an
 * invalidation. Also run under ThreadSanitizer. */
#include "cache/cache.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/log.h"
#include "cache_keys.h"
#include "test.h"

static struct cache *cache;

static void begin(int ttl_s, bool enabled) {
    struct cache_options options = {.redis_url = "",
                                    .redis_timeout_ms = 100,
                                    .ttl_s = ttl_s,
                                    .max_bytes = 1 << 20,
                                    .enabled = enabled};
    struct err err = {0};
    log_configure(LOG_ERROR, false);
    cache = cache_create(&options, &err);
    CHECK_OK(cache_start(cache, &err), &err);
}

static void end(void) {
    cache_destroy(cache);
}

/* How an answer is made, and what happens meanwhile. */
struct recipe {
    int status; /* 0: an error */
    const char *body;
    uint64_t tag; /* 0: none */
    void (*meanwhile)(struct recipe *recipe);
    _Atomic int computed;
    sem_t reached, released;
};

static struct cached_response *make(void *context, uint64_t **tags, size_t *tag_count,
                                    struct err *err) {
    struct recipe *recipe = context;
    recipe->computed++;
    const char *body = recipe->body; /* read before what happens meanwhile */
    if (recipe->meanwhile) {
        recipe->meanwhile(recipe);
    }
    if (recipe->tag) {
        *tags = calloc(1, sizeof **tags);
        **tags = recipe->tag;
        *tag_count = 1;
    }
    if (recipe->status == 0) {
        err_set(err, ERR_UNAVAILABLE, "no database");
        return NULL;
    }
    return cached_response_create(recipe->status, slice_of(body));
}

/* The body of the answer in memory that lives until the thread's next call, or the error's text. */
static const char *get(const char *key, struct recipe *recipe, int timeout_ms) {
    static _Thread_local char body[128];
    struct err err = {0};
    struct cache_key wanted = key_of(key);
    struct cache_serving serving;
    struct cached_response *answer =
        cache_get(cache, &wanted, timeout_ms, make, recipe, &serving, &err);
    snprintf(body, sizeof body, "%.127s", answer ? answer->body.data : err.text);
    cached_response_unref(answer);
    return body;
}

static bool has(const char *key) {
    struct cache_key wanted = key_of(key);
    struct cache_serving serving;
    struct cached_response *answer = cache_lookup(cache, &wanted, &serving);
    cached_response_unref(answer);
    return answer != NULL;
}

static void a_response_is_computed_once(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, true);
    CHECK(!has("k"));
    CHECK_TEXT(get("k", &recipe, 1000), "one");
    CHECK(has("k"));
    CHECK_TEXT(get("k", &recipe, 1000), "one");
    CHECK_INT(recipe.computed, 1);
    CHECK_TEXT(get("other", &recipe, 1000), "one");
    CHECK_INT(recipe.computed, 2);
    end();
}

static void an_invalidation_drops_it(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, true);
    get("k", &recipe, 1000);
    cache_invalidate(cache, &(uint64_t){2}, 1);
    CHECK(has("k"));
    cache_invalidate(cache, &(uint64_t){1}, 1);
    CHECK(!has("k"));
    cache_invalidate(cache, NULL, 0);
    recipe.body = "two";
    CHECK_TEXT(get("k", &recipe, 1000), "two");
    end();
}

static void invalidate_meanwhile(struct recipe *recipe) {
    cache_invalidate(cache, &recipe->tag, 1);
    recipe->meanwhile = NULL;
}

/* The race of a reader and a writer, by construction: the answer was read before the commit. */
static void a_slow_reader_cannot_store_what_a_commit_has_outdated(void) {
    struct recipe recipe = {.status = 200, .body = "old", .tag = 1};
    begin(60, true);
    recipe.meanwhile = invalidate_meanwhile;
    CHECK_TEXT(get("k", &recipe, 1000), "old");
    CHECK(!has("k"));
    recipe.body = "new";
    CHECK_TEXT(get("k", &recipe, 1000), "new");
    CHECK(has("k"));
    end();
}

static void invalidate_another(struct recipe *recipe) {
    (void)recipe;
    cache_invalidate(cache, &(uint64_t){99}, 1);
}

static void other_commits_do_not_hinder_a_reader(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, true);
    recipe.meanwhile = invalidate_another;
    get("k", &recipe, 1000);
    CHECK(has("k"));
    end();
}

/* ---- one compute for many ----------------------------------------------------------------- */

static void wait_for_release(struct recipe *recipe) {
    sem_post(&recipe->reached);
    sem_wait(&recipe->released);
}

static void *get_in_thread(void *argument) {
    return strdup(get("k", argument, 10000));
}

static void begin_slow(struct recipe *recipe, pthread_t *thread) {
    sem_init(&recipe->reached, 0, 0);
    sem_init(&recipe->released, 0, 0);
    recipe->meanwhile = wait_for_release;
    pthread_create(thread, NULL, get_in_thread, recipe);
    sem_wait(&recipe->reached);
}

static void finish_slow(struct recipe *recipe, pthread_t thread, const char *want) {
    void *body;
    sem_post(&recipe->released);
    pthread_join(thread, &body);
    CHECK_TEXT(body, want);
    free(body);
    sem_destroy(&recipe->reached);
    sem_destroy(&recipe->released);
}

static void a_caller_after_an_invalidation_does_not_join_an_older_compute(void) {
    struct recipe slow = {.status = 200, .body = "old", .tag = 1};
    struct recipe quick = {.status = 200, .body = "new", .tag = 1};
    pthread_t thread;
    begin(60, true);
    begin_slow(&slow, &thread);
    cache_invalidate(cache, &(uint64_t){1}, 1);
    CHECK_TEXT(get("k", &quick, 1000), "new");
    finish_slow(&slow, thread, "old");
    CHECK_TEXT(get("k", &quick, 1000), "new");
    CHECK_INT(quick.computed, 1);
    end();
}

static void waiting_for_another_ends_in_time(void) {
    struct recipe slow = {.status = 200, .body = "late", .tag = 1};
    struct recipe quick = {.status = 200, .body = "never asked", .tag = 1};
    pthread_t thread;
    begin(60, true);
    begin_slow(&slow, &thread);
    CHECK_TEXT(get("k", &quick, 50), "no response within 50 ms (computed by another request)");
    CHECK_INT(quick.computed, 0);
    finish_slow(&slow, thread, "late");
    CHECK_TEXT(get("k", &quick, 50), "late");
    end();
}

static _Atomic int computing;

/* Fails the case where two computes of one key are under way at once. */
static struct cached_response *make_alone(void *context, uint64_t **tags, size_t *tag_count,
                                          struct err *err) {
    if (++computing > 1) {
        TEST_FAIL("two computes at once");
    }
    nanosleep(&(struct timespec){0, 50000}, NULL); /* as a database would */
    struct cached_response *answer = make(context, tags, tag_count, err);
    computing--;
    return answer;
}

static void *get_many(void *argument) {
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        struct err err = {0};
        struct cache_key wanted = key_of(key);
        struct cached_response *answer = cache_get(cache, &wanted, 10000, make_alone, argument,
                                                   &(struct cache_serving){0}, &err);
        CHECK_OK(answer != NULL, &err);
        cached_response_unref(answer);
    }
    return NULL;
}

static void many_threads_share_one_compute(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    pthread_t threads[8];
    begin(60, true);
    for (size_t i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, get_many, &recipe);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(recipe.computed, 300);
    end();
}

static void an_error_reaches_all_waiters_and_is_not_cached(void) {
    struct recipe slow = {.status = 0};
    struct recipe quick = {.status = 200, .body = "works again", .tag = 1};
    pthread_t threads[2];
    begin(60, true);
    begin_slow(&slow, &threads[0]);
    pthread_create(&threads[1], NULL, get_in_thread, &slow);
    void *body;
    sem_post(&slow.released); /* one or both threads compute */
    sem_post(&slow.released);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], &body);
        CHECK_TEXT(body, "no database");
        free(body);
    }
    CHECK_TEXT(get("k", &quick, 1000), "works again");
    sem_destroy(&slow.reached);
    sem_destroy(&slow.released);
    end();
}

/* ---- lifetimes ---------------------------------------------------------------------------- */

static void responses_expire(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(1, true);
    get("k", &recipe, 1000);
    CHECK(has("k"));
    WAIT_UNTIL(!has("k"));
    end();
}

static void a_404_is_cached_for_one_second_at_most(void) {
    struct recipe recipe = {.status = 404, .body = "not there", .tag = 0};
    begin(3600, true);
    int64_t started_us = clock_monotonic_us();
    CHECK_TEXT(get("k", &recipe, 1000), "not there");
    CHECK(has("k"));
    WAIT_UNTIL(!has("k"));
    CHECK(clock_monotonic_us() - started_us < 3000000);
    get("k", &recipe, 1000);
    cache_invalidate(cache, &(uint64_t){5}, 1); /* may create the missing row */
    CHECK(!has("k"));
    end();
}

/* Another process may commit, and nothing tells this one. */
static void without_redis_a_response_is_cached_for_one_second_at_most(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(3600, true);
    int64_t started_us = clock_monotonic_us();
    get("k", &recipe, 1000);
    CHECK(has("k"));
    WAIT_UNTIL(!has("k"));
    CHECK(clock_monotonic_us() - started_us < 3000000);
    end();
}

static void other_statuses_are_not_cached(void) {
    static const int statuses[] = {400, 401, 429, 500, 503};
    begin(60, true);
    for (size_t i = 0; i < 5; i++) {
        struct recipe recipe = {.status = statuses[i], .body = "no", .tag = 1};
        get("k", &recipe, 1000);
        CHECK(!has("k"));
    }
    end();
}

static void a_cache_that_is_off_computes_each_time(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, false);
    get("k", &recipe, 1000);
    CHECK_TEXT(get("k", &recipe, 1000), "one");
    CHECK_INT(recipe.computed, 2);
    CHECK(!has("k"));
    cache_invalidate(cache, &(uint64_t){1}, 1);
    end();
}

static void without_a_key_each_caller_computes(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, true);
    get(NULL, &recipe, 1000);
    CHECK_TEXT(get(NULL, &recipe, 1000), "one");
    CHECK_INT(recipe.computed, 2);
    end();
}

static void different_bodies_have_different_etags(void) {
    struct cached_response *one = cached_response_create(200, slice_of("a")),
                           *two = cached_response_create(200, slice_of("b"));
    struct cached_response *same = cached_response_create(404, slice_of("a"));
    CHECK(strcmp(one->etag, two->etag) != 0);
    CHECK_TEXT(one->etag, same->etag);
    CHECK(one->etag[0] == '"' && strlen(one->etag) == 18);
    cached_response_unref(one);
    cached_response_unref(two);
    cached_response_unref(same);
    cached_response_unref(NULL);
}

/* ---- the promise, under load -------------------------------------------------------------- */

#define TAGS 6

/* The "database": a version a tag, and the version whose invalidation was announced. */
static _Atomic int committed[TAGS], announced[TAGS];
static _Atomic bool stop;

static struct cached_response *read_version(void *context, uint64_t **tags, size_t *tag_count,
                                            struct err *err) {
    size_t tag = *(size_t *)context;
    char body[16];
    (void)err;
    int len = snprintf(body, sizeof body, "%d", committed[tag]);
    nanosleep(&(struct timespec){0, 50000}, NULL); /* commits go on meanwhile */
    *tags = calloc(1, sizeof **tags);
    **tags = tag + 1;
    *tag_count = 1;
    return cached_response_create(200, (struct slice){body, (size_t)len});
}

static void *commit_on(void *argument) {
    uint32_t seed = *(uint32_t *)argument;
    while (!stop) {
        /* Each writer has tags of its own, as each ingest worker has partitions. */
        size_t tag = test_draw(&seed, TAGS / 2) * 2 + *(uint32_t *)argument % 2;
        int version = ++committed[tag];
        cache_invalidate(cache, &(uint64_t){tag + 1}, 1);
        announced[tag] = version;
    }
    return NULL;
}

static void *read_on(void *argument) {
    uint32_t seed = *(uint32_t *)argument + 100;
    for (int i = 0; i < 1500 && !test_failed; i++) {
        size_t tag = test_draw(&seed, TAGS);
        char key[8];
        snprintf(key, sizeof key, "k%zu", tag);
        int least = announced[tag];
        struct err err = {0};
        struct cache_key wanted = key_of(key);
        struct cached_response *answer = cache_lookup(cache, &wanted, &(struct cache_serving){0});
        if (!answer) {
            answer = cache_get(cache, &wanted, 10000, read_version, &tag,
                               &(struct cache_serving){0}, &err);
        }
        if (!answer || atoi(answer->body.data) < least) {
            TEST_FAIL("read version %s after %d was announced", answer ? answer->body.data : "none",
                      least);
        }
        cached_response_unref(answer);
    }
    return NULL;
}

static void no_response_is_older_than_an_announced_commit(void) {
    static uint32_t numbers[] = {0, 1, 2, 3, 4, 5};
    pthread_t threads[6];
    begin(60, true);
    stop = false;
    for (size_t i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, i < 2 ? commit_on : read_on, &numbers[i]);
    }
    for (size_t i = 6; i > 0; i--) {
        stop = i <= 2;
        pthread_join(threads[i - 1], NULL);
    }
    end();
}

static void doubt_meanwhile(struct recipe *recipe) {
    cache_doubt(cache, true, CACHE_DROP_UNSURE);
    cache_doubt(cache, false, CACHE_DROP_UNSURE);
    recipe->meanwhile = NULL;
}

static void nothing_is_cached_while_commits_are_in_doubt(void) {
    struct recipe recipe = {.status = 200, .body = "one", .tag = 1};
    begin(60, true);
    get("k", &recipe, 1000);
    cache_doubt(cache, true, CACHE_DROP_UNSURE); /* of one worker */
    CHECK(!has("k"));
    cache_doubt(cache, true, CACHE_DROP_UNSURE); /* of another */
    cache_doubt(cache, false, CACHE_DROP_UNSURE);
    CHECK_TEXT(get("k", &recipe, 1000), "one");
    CHECK(!has("k"));
    cache_doubt(cache, false, CACHE_DROP_UNSURE);
    recipe.meanwhile = doubt_meanwhile;
    get("k", &recipe, 1000);
    CHECK(!has("k"));
    get("k", &recipe, 1000);
    CHECK(has("k"));
    CHECK_INT(recipe.computed, 4);
    end();
}

static const struct test_case cases[] = {
    {"a response is computed once", a_response_is_computed_once},
    {"an invalidation drops it", an_invalidation_drops_it},
    {"a slow reader cannot store what a commit has outdated",
     a_slow_reader_cannot_store_what_a_commit_has_outdated},
    {"other commits do not hinder a reader", other_commits_do_not_hinder_a_reader},
    {"a caller after an invalidation does not join an older compute",
     a_caller_after_an_invalidation_does_not_join_an_older_compute},
    {"waiting for another ends in time", waiting_for_another_ends_in_time},
    {"many threads share one compute", many_threads_share_one_compute},
    {"an error reaches all waiters and is not cached",
     an_error_reaches_all_waiters_and_is_not_cached},
    {"responses expire", responses_expire},
    {"a 404 is cached for one second at most", a_404_is_cached_for_one_second_at_most},
    {"without Redis a response is cached for one second at most",
     without_redis_a_response_is_cached_for_one_second_at_most},
    {"other statuses are not cached", other_statuses_are_not_cached},
    {"a cache that is off computes each time", a_cache_that_is_off_computes_each_time},
    {"without a key each caller computes", without_a_key_each_caller_computes},
    {"different bodies have different ETags", different_bodies_have_different_etags},
    {"no response is older than an announced commit",
     no_response_is_older_than_an_announced_commit},
    {"nothing is cached while commits are in doubt", nothing_is_cached_while_commits_are_in_doubt},
};

TEST_MAIN(cases)

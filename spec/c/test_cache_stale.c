/* cache: stale responses (RFC 5861): who is served one, who refreshes it, and what a commit does to
 * it. Also run under ThreadSanitizer. */
#include <pthread.h>

#include "base/log.h"
#include "cache/cache_internal.h"
#include "test.h"

#define SECOND_US 1000000LL

static const uint64_t tag[] = {1};
static const struct cache_ages ages = {
    .ttl_s = 10, .stale_while_revalidate_s = 20, .stale_if_error_s = 60};
static const struct cache_ages outdated = {.ttl_s = 10,
                                           .stale_while_revalidate_s = 20,
                                           .stale_if_error_s = 60,
                                           .stale_after_commit = true};

static struct cache_key key_with(const struct cache_ages *of) {
    return (struct cache_key){.text = slice_of("k"), .type = "test", .scripts = 1, .ages = *of};
}

/* ---- the process level ---------------------------------------------------------------------- */

static struct store store;
static struct metric_cell *hits;

static void begin_store(void) {
    store_init(&store, 100000);
    hits = metric_cell(metric_family(METRIC_COUNTER, "test_stale_hits", "Test.", ""));
}

/* Of a compute that began after so many invalidations. */
static void put_outdated(uint64_t scripts, uint64_t began, const char *body) {
    struct cached_response *response = cached_response_create(200, slice_of(body));
    struct cache_key key = key_with(&outdated);
    key.scripts = scripts;
    store_put(&store, &key, response, tag, 1, began, SECOND_US, hits);
    cached_response_unref(response);
}

static const char *outdated_body(uint64_t scripts) {
    static char body[32];
    struct cache_key key = key_with(&outdated);
    key.scripts = scripts;
    struct cached_response *response = store_find(&store, &key).response;
    snprintf(body, sizeof body, "%.31s", response ? response->body.data : "none");
    cached_response_unref(response);
    return body;
}

static void put(const struct cache_ages *of, int status, int64_t lifetime_us, const char *body) {
    struct cached_response *response = cached_response_create(status, slice_of(body));
    struct cache_key key = key_with(of);
    store_put(&store, &key, response, tag, 1, store.sequence, lifetime_us, hits);
    cached_response_unref(response);
}

static const char *state_of(const struct cache_ages *of) {
    static const char *const names[] = {[STORE_FRESH] = "fresh",
                                        [STORE_STALE] = "stale",
                                        [STORE_FALLBACK] = "fallback",
                                        [STORE_FAILED] = "failed"};
    struct cache_key key = key_with(of);
    struct store_hit hit = store_find(&store, &key);
    const char *name = !hit.response       ? "none"
                       : hit.wants_refresh ? "wants refresh"
                                           : names[hit.state];
    cached_response_unref(hit.response);
    return name;
}

static void a_response_is_fresh_then_stale_then_a_fallback_then_gone(void) {
    static const struct {
        int64_t lifetime_us;
        const char *state;
    } table[] = {
        {SECOND_US, "fresh"},
        {-SECOND_US, "wants refresh"},
        {-19 * SECOND_US, "wants refresh"},
        {-21 * SECOND_US, "fallback"},
        {-59 * SECOND_US, "fallback"},
        {-61 * SECOND_US, "none"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin_store();
        put(&ages, 200, table[i].lifetime_us, "one");
        CHECK_TEXT(state_of(&ages), table[i].state);
        store_free(&store);
    }
}

static void one_caller_refreshes_a_stale_response(void) {
    struct cache_key key = key_with(&ages);
    begin_store();
    put(&ages, 200, -SECOND_US, "one");
    CHECK_TEXT(state_of(&ages), "wants refresh");
    CHECK_TEXT(state_of(&ages), "stale");
    store_end_refresh(&store, &key);
    CHECK_TEXT(state_of(&ages), "stale"); /* for a second */
    put(&ages, 200, SECOND_US, "two");
    CHECK_TEXT(state_of(&ages), "fresh");
    store_free(&store);
}

static void after_a_failure_a_fallback_is_served_without_another_attempt(void) {
    struct cache_key key = key_with(&ages);
    begin_store();
    put(&ages, 200, -30 * SECOND_US, "one");
    CHECK_TEXT(state_of(&ages), "fallback");
    cached_response_unref(store_fall_back(&store, &key));
    CHECK_TEXT(state_of(&ages), "failed");
    store_free(&store);
}

static void a_stale_response_that_replaced_nothing_is_refreshed_a_second_later(void) {
    struct cache_key key = key_with(&ages);
    begin_store();
    put(&ages, 200, -SECOND_US, "one");
    cached_response_unref(store_fall_back(&store, &key));
    CHECK_TEXT(state_of(&ages), "stale");
    store_free(&store);
}

static void the_end_of_another_refresh_delays_none(void) {
    struct cache_key key = key_with(&ages);
    begin_store();
    put(&ages, 200, -SECOND_US, "one");
    store_end_refresh(&store, &key);
    CHECK_TEXT(state_of(&ages), "wants refresh");
    store_free(&store);
}

static void a_commit_drops_a_stale_response(void) {
    begin_store();
    put(&ages, 200, -SECOND_US, "one");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&ages), "none");
    put(&ages, 200, SECOND_US, "two");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&ages), "none");
    store_free(&store);
}

static void a_route_may_choose_to_serve_what_a_commit_outdated(void) {
    begin_store();
    put(&outdated, 200, SECOND_US, "one");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&outdated), "wants refresh");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&outdated), "stale");
    store_reset(&store); /* invalidations may be missing */
    CHECK_TEXT(state_of(&outdated), "none");
    store_free(&store);
}

static void a_commit_does_not_prolong_what_is_stale_already(void) {
    begin_store();
    put(&outdated, 200, -30 * SECOND_US, "one");
    CHECK_TEXT(state_of(&outdated), "fallback");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&outdated), "fallback");
    store_free(&store);
}

/* Two computes: the one that began first is stored last. */
static void an_outdated_response_replaces_no_newer_one_of_the_same_scripts(void) {
    begin_store();
    store_invalidate(&store, tag, 1);
    put_outdated(1, 1, "newer");
    store_invalidate(&store, tag, 1);
    put_outdated(1, 0, "older");
    CHECK_TEXT(outdated_body(1), "newer");
    put_outdated(2, 0, "of other scripts");
    CHECK_TEXT(outdated_body(2), "of other scripts");
    store_free(&store);
}

static void a_response_that_was_outdated_while_it_was_read_is_stored_as_stale_if_chosen(void) {
    const struct cache_ages *const both[] = {&ages, &outdated};
    static const char *const states[] = {"none", "wants refresh"};
    for (size_t i = 0; i < 2; i++) {
        struct cache_key key = key_with(both[i]);
        struct cached_response *response = cached_response_create(200, slice_of("read before"));
        begin_store();
        uint64_t began = store.sequence;
        store_invalidate(&store, tag, 1);
        store_put(&store, &key, response, tag, 1, began, SECOND_US, hits);
        CHECK_TEXT(state_of(both[i]), states[i]);
        store_reset(&store);
        store_put(&store, &key, response, tag, 1, began, SECOND_US, hits);
        CHECK_TEXT(state_of(both[i]), "none");
        cached_response_unref(response);
        store_free(&store);
    }
}

static void a_stale_response_replaces_no_newer_one(void) {
    begin_store();
    put(&ages, 200, SECOND_US, "new");
    put(&ages, 200, -SECOND_US, "old");
    CHECK_TEXT(state_of(&ages), "fresh");
    store_free(&store);
}

static void other_statuses_are_never_stale(void) {
    begin_store();
    put(&ages, 404, SECOND_US, "none");
    CHECK_TEXT(state_of(&ages), "fresh");
    put(&ages, 404, -SECOND_US, "none");
    CHECK_TEXT(state_of(&ages), "fresh"); /* the one before */
    store_free(&store);
    begin_store();
    put(&ages, 404, -SECOND_US, "none");
    CHECK_TEXT(state_of(&ages), "none");
    store_free(&store);
}

static void without_redis_a_commit_of_another_process_may_be_unknown(void) {
    begin_store();
    store.alone = true;
    put(&ages, 200, -SECOND_US, "one");
    CHECK_TEXT(state_of(&ages), "none");
    put(&outdated, 200, -SECOND_US, "one");
    CHECK_TEXT(state_of(&outdated), "wants refresh");
    store_free(&store);
}

static void a_response_without_tags_is_outdated_by_any_commit(void) {
    struct cache_key key = key_with(&outdated);
    struct cached_response *response = cached_response_create(200, slice_of("one"));
    begin_store();
    store_put(&store, &key, response, NULL, 0, store.sequence, SECOND_US, hits);
    CHECK_TEXT(state_of(&outdated), "fresh");
    store_invalidate(&store, tag, 1);
    CHECK_TEXT(state_of(&outdated), "wants refresh");
    cached_response_unref(response);
    store_free(&store);
}

/* ---- the cache ------------------------------------------------------------------------------ */

static struct cache *cache;

struct recipe {
    int status; /* 0: an error */
    const char *body;
    _Atomic int computed;
};

static void begin(void) {
    struct cache_options options = {
        .redis_url = "", .ttl_s = 60, .max_bytes = 1 << 20, .enabled = true};
    struct err err = {0};
    log_configure(LOG_ERROR, false);
    cache = cache_create(&options, &err);
    CHECK_OK(cache_start(cache, &err), &err);
}

static struct cached_response *make(void *context, uint64_t **tags, size_t *count,
                                    struct err *err) {
    struct recipe *recipe = context;
    recipe->computed++;
    *tags = calloc(1, sizeof **tags);
    **tags = tag[0];
    *count = 1;
    if (recipe->status == 0) {
        err_set(err, ERR_UNAVAILABLE, "no database");
        return NULL;
    }
    return cached_response_create(recipe->status, slice_of(recipe->body));
}

/* "BODY stale failed refresh: ERROR" */
static const char *get(struct recipe *recipe) {
    static _Thread_local char text[256];
    struct cache_key key = key_with(&outdated);
    struct cache_serving serving;
    struct err err = {0};
    struct cached_response *response = cache_get(cache, &key, 5000, make, recipe, &serving, &err);
    snprintf(text, sizeof text, "%.99s%s%s%s%s%.99s", response ? response->body.data : "none",
             serving.stale ? " stale" : "", serving.failed ? " failed" : "",
             serving.wants_refresh ? " refresh" : "", err.text[0] ? ": " : "", err.text);
    cached_response_unref(response);
    return text;
}

static bool refresh(struct recipe *recipe) {
    struct cache_key key = key_with(&outdated);
    struct err err = {0};
    return cache_refresh(cache, &key, make, recipe, &err);
}

static void a_refresh_replaces_the_stale_response(void) {
    struct recipe recipe = {.status = 200, .body = "one"};
    begin();
    CHECK_TEXT(get(&recipe), "one");
    cache_invalidate(cache, tag, 1);
    recipe.body = "two";
    CHECK_TEXT(get(&recipe), "one stale refresh");
    CHECK_TEXT(get(&recipe), "one stale");
    CHECK(refresh(&recipe));
    CHECK_TEXT(get(&recipe), "two");
    CHECK_INT(recipe.computed, 2);
    cache_destroy(cache);
}

static void a_refresh_that_fails_leaves_the_stale_response(void) {
    struct recipe recipe = {.status = 200, .body = "one"};
    begin();
    get(&recipe);
    cache_invalidate(cache, tag, 1);
    recipe.status = 0;
    CHECK_TEXT(get(&recipe), "one stale refresh");
    CHECK(!refresh(&recipe));
    CHECK_TEXT(get(&recipe), "one stale");
    recipe.status = 503;
    CHECK(!refresh(&recipe));
    CHECK_TEXT(get(&recipe), "one stale");
    cache_destroy(cache);
}

static void a_refresh_that_finds_another_answer_drops_the_stale_response(void) {
    struct recipe recipe = {.status = 200, .body = "one"};
    begin();
    get(&recipe);
    cache_invalidate(cache, tag, 1);
    recipe.status = 422;
    recipe.body = "too long";
    CHECK(refresh(&recipe));
    CHECK_TEXT(get(&recipe), "too long");
    cache_destroy(cache);
}

static void a_refresh_that_does_not_take_place_may_be_wanted_again(void) {
    struct recipe recipe = {.status = 200, .body = "one"};
    struct cache_key key = key_with(&outdated);
    begin();
    get(&recipe);
    cache_invalidate(cache, tag, 1);
    CHECK_TEXT(get(&recipe), "one stale refresh");
    cache_cancel_refresh(cache, &key);
    bool asked = false;
    WAIT_UNTIL(asked || (asked = strcmp(get(&recipe), "one stale refresh") == 0));
    CHECK_TEXT(get(&recipe), "one stale");
    cache_destroy(cache);
}

/* Many callers of a key that cannot be computed: one asks, and nobody else for a second. */
static const struct cache_ages fallback_only = {
    .ttl_s = 10, .stale_if_error_s = 60, .stale_after_commit = true};

static void *get_fallback(void *argument) {
    struct cache_key key = key_with(&fallback_only);
    for (int i = 0; i < 200; i++) {
        struct cache_serving serving;
        struct err err = {0};
        struct cached_response *response =
            cache_get(cache, &key, 5000, make, argument, &serving, &err);
        CHECK(response && serving.stale && serving.failed);
        cached_response_unref(response);
    }
    return NULL;
}

static void callers_of_what_cannot_be_computed_get_the_stale_response(void) {
    struct recipe recipe = {.status = 200, .body = "one"};
    struct cache_key key = key_with(&fallback_only);
    struct cache_serving serving;
    struct err err = {0};
    pthread_t threads[4];
    begin();
    cached_response_unref(cache_get(cache, &key, 5000, make, &recipe, &serving, &err));
    cache_invalidate(cache, tag, 1);
    CHECK(!cache_lookup(cache, &key, &serving)); /* it has to be computed first */
    recipe.status = 0;
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, get_fallback, &recipe);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(recipe.computed <= 1 + 3); /* 800 calls, within less than three seconds */
    recipe.status = 500;
    cache_destroy(cache);
}

static const struct test_case cases[] = {
    {"a stale response that replaced nothing is refreshed a second later",
     a_stale_response_that_replaced_nothing_is_refreshed_a_second_later},
    {"the end of another refresh delays none", the_end_of_another_refresh_delays_none},
    {"a commit does not prolong what is stale already",
     a_commit_does_not_prolong_what_is_stale_already},
    {"an outdated response replaces no newer one of the same scripts",
     an_outdated_response_replaces_no_newer_one_of_the_same_scripts},
    {"a response is fresh, then stale, then a fallback, then gone",
     a_response_is_fresh_then_stale_then_a_fallback_then_gone},
    {"one caller refreshes a stale response", one_caller_refreshes_a_stale_response},
    {"after a failure a fallback is served without another attempt",
     after_a_failure_a_fallback_is_served_without_another_attempt},
    {"a commit drops a stale response", a_commit_drops_a_stale_response},
    {"a route may choose to serve what a commit outdated",
     a_route_may_choose_to_serve_what_a_commit_outdated},
    {"a response that was outdated while it was read is stored as stale, if chosen",
     a_response_that_was_outdated_while_it_was_read_is_stored_as_stale_if_chosen},
    {"a stale response replaces no newer one", a_stale_response_replaces_no_newer_one},
    {"other statuses are never stale", other_statuses_are_never_stale},
    {"without Redis a commit of another process may be unknown",
     without_redis_a_commit_of_another_process_may_be_unknown},
    {"a response without tags is outdated by any commit",
     a_response_without_tags_is_outdated_by_any_commit},
    {"a refresh replaces the stale response", a_refresh_replaces_the_stale_response},
    {"a refresh that fails leaves the stale response",
     a_refresh_that_fails_leaves_the_stale_response},
    {"a refresh that finds another answer drops the stale response",
     a_refresh_that_finds_another_answer_drops_the_stale_response},
    {"a refresh that does not take place may be wanted again",
     a_refresh_that_does_not_take_place_may_be_wanted_again},
    {"callers of what cannot be computed get the stale response",
     callers_of_what_cannot_be_computed_get_the_stale_response},
};

TEST_MAIN(cases)

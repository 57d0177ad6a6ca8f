/* caches: the caches of several processes in one process, on a Redis database of the test. Needs
 * REDIS_TEST_URL. */
#pragma once

#include "bindings/redis.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache_keys.h"
#include "proxy.h"
#include "test.h"

#define LONG_MS 60000 /* for what a busy machine may be slow at */

static char url[128]; /* a database of this test's own */
static struct err err;

/* ---- commands ----------------------------------------------------------------------------- */

static inline void note(void *context, size_t index, const redisReply *reply) {
    (void)index;
    char *text = context;
    snprintf(text, 128, "%.*s", reply->type == REDIS_REPLY_STRING ? (int)reply->len : 0,
             reply->type == REDIS_REPLY_STRING ? reply->str : "");
}

/* Runs one command of at most three words; a string reply comes back in static memory. */
static inline const char *command(const char *one, const char *two, const char *three) {
    static char text[128];
    struct redis *redis = redis_create(url, LONG_MS, &err);
    struct slice args[] = {slice_of(one), slice_of(two), slice_of(three)};
    size_t count = three ? 3 : two ? 2 : 1;
    text[0] = '\0';
    CHECK_OK(redis_append(redis, args, count, &err) && redis_run(redis, note, text, &err), &err);
    redis_destroy(redis);
    return text;
}

/* Of tags that are pending in the cache. */
static inline void announce_only(struct cache *cache, const uint64_t *tags, size_t count) {
    struct redis *redis = redis_create(url, LONG_MS, &err);
    struct cache_announcement announcement = {.tags = tags, .tag_count = count, .is_pending = true};
    CHECK_OK(cache_append_announcement(cache, redis, &announcement, &err) &&
                 redis_run(redis, NULL, NULL, &err),
             &err);
    redis_destroy(redis);
}

static inline void announce(struct cache *cache, const uint64_t *tags, size_t count) {
    struct cache_pending pending = {0};
    cache_invalidate_pending(cache, tags, count, &pending);
    announce_only(cache, tags, count);
    cache_end_pending(cache, &pending);
}

/* ---- caches ------------------------------------------------------------------------------- */

static inline int drops(const char *reason) {
    return (int)metric_value(
        metric_cell(metric_family(METRIC_COUNTER, "ras_cache_drops_total", "", "reason"), reason));
}

struct recipe {
    const char *body;
    uint64_t tag;
    int computed;
    struct cache *announce_on; /* an invalidation of the tag while it is computed */
    struct proxy *freezes;     /* as soon as it is computed */
};

static inline struct cached_response *make(void *context, uint64_t **tags, size_t *tag_count,
                                           struct err *error) {
    struct recipe *recipe = context;
    const char *body = recipe->body;
    (void)error;
    recipe->computed++;
    if (recipe->announce_on) {
        announce(recipe->announce_on, &recipe->tag, 1);
    }
    if (recipe->freezes) {
        recipe->freezes->mode = PROXY_FROZEN;
    }
    *tags = calloc(1, sizeof **tags);
    **tags = recipe->tag;
    *tag_count = 1;
    return cached_response_create(200, slice_of(body));
}

static inline const char *get(struct cache *cache, const char *key, struct recipe *recipe) {
    static char body[128];
    struct cache_key wanted = key_of(key);
    struct cached_response *answer =
        cache_get(cache, &wanted, LONG_MS, make, recipe, &(struct cache_serving){0}, &err);
    snprintf(body, sizeof body, "%.127s", answer ? answer->body.data : err.text);
    cached_response_unref(answer);
    return body;
}

/* Waits until Redis has stored or refused the last response: the next miss needs that connection.
 */
static inline void settle(struct cache *cache) {
    static int number;
    char key[32];
    struct recipe recipe = {.body = "settled", .tag = 778};
    snprintf(key, sizeof key, "test:settle:%d", number++);
    get(cache, key, &recipe);
}

static inline bool has(struct cache *cache, const char *key) {
    struct cache_key wanted = key_of(key);
    struct cached_response *answer = cache_lookup(cache, &wanted, &(struct cache_serving){0});
    cached_response_unref(answer);
    return answer != NULL;
}

#define VIEW 4711 /* the database that answers are read from */

static inline struct cache *start_reading(const char *redis_url, int timeout_ms, uint64_t view) {
    struct cache_options options = {.redis_url = redis_url,
                                    .redis_timeout_ms = timeout_ms,
                                    .ttl_s = 60,
                                    .max_bytes = 1 << 20,
                                    .enabled = true};
    struct cache *cache = cache_create(&options, &err);
    CHECK_OK(cache && cache_start(cache, &err), &err);
    cache_set_view(cache, view);
    return cache;
}

static inline struct cache *start(const char *redis_url, int timeout_ms) {
    return start_reading(redis_url, timeout_ms, VIEW);
}

/* The process level is in use: a subscription stands. */
static inline bool hears(struct cache *cache) {
    struct recipe recipe = {.body = "probe", .tag = 777};
    get(cache, "test:probe", &recipe);
    return has(cache, "test:probe");
}

/* Another process's cache. */
static inline struct cache *start_beside(struct cache *cache) {
    WAIT_UNTIL(hears(cache));
    struct cache *other = start(url, 2000);
    WAIT_UNTIL(hears(other));
    return other;
}

static inline void begin(void) {
    snprintf(url, sizeof url, "%s/7", test_url("REDIS_TEST_URL"));
    log_configure(LOG_ERROR, false);
    command("FLUSHDB", NULL, NULL);
}

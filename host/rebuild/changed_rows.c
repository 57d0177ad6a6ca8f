/* announce: what a rebuild has changed leaves the caches of all processes, as after any commit. */
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "rebuild.h"

#define TAGS_A_PIPELINE 5000
#define ATTEMPTS 20
#define PAUSE_US 250000

bool announce_collect(struct rebuild *rebuild, const struct view_table *table, struct err *err) {
    struct buffer sql = {0};
    struct pg_result *rows;
    compare_sql_ids(&rebuild->scope, table, &sql);
    bool ok = sql_query(&rebuild->session, buffer_slice(&sql), &rows, err);
    buffer_free(&sql);
    if (!ok) {
        return false;
    }
    size_t count = rebuild->tag_count + (size_t)pg_rows_count(rows);
    rebuild->tags = xrealloc(rebuild->tags, (count + 1) * sizeof *rebuild->tags);
    for (int i = 0; i < pg_rows_count(rows); i++) {
        rebuild->tags[rebuild->tag_count++] = hash64(pg_rows_cell(rows, i, 0));
    }
    pg_rows_free(rows);
    return true;
}

static void rebuild_announce_ignore_reply(void *context, size_t index, const redisReply *reply) {
    (void)index;
    bool *refused = context;
    *refused = *refused || reply->type == REDIS_REPLY_ERROR;
}

static bool rebuild_announce_announce(struct cache *cache, struct redis *redis,
                                      const uint64_t *tags, size_t count, struct err *err) {
    bool refused = false;
    struct cache_announcement announcement = {.tags = tags, .tag_count = count};
    return cache_append_announcement(cache, redis, &announcement, err) &&
           redis_run(redis, rebuild_announce_ignore_reply, &refused, err) &&
           (!refused || err_set(err, ERR_UNAVAILABLE, "redis refused a command"));
}

/* Redis may rest for a moment after a failure. */
static bool rebuild_announce_patiently(struct cache *cache, struct redis *redis,
                                       const uint64_t *tags, size_t count, struct err *err) {
    for (int i = 0; i < ATTEMPTS; i++) {
        if (rebuild_announce_announce(cache, redis, tags, count, err)) {
            return true;
        }
        usleep(PAUSE_US);
    }
    return false;
}

bool announce_changes(struct rebuild *rebuild, struct err *err) {
    const struct config *config = rebuild->options.config;
    if (!config->redis.url[0]) {
        return true;
    }
    struct cache_options options = {
        .redis_url = config->redis.url,
        .redis_timeout_ms = config->redis.timeout_ms,
        .ttl_s = config->cache.ttl_s,
        .enabled = true,
    };
    struct cache *cache = cache_create(&options, err);
    struct redis *redis =
        cache ? redis_create(config->redis.url, config->redis.timeout_ms, err) : NULL;
    bool ok = redis != NULL;
    for (size_t i = 0; ok && i < rebuild->tag_count; i += TAGS_A_PIPELINE) {
        size_t left = rebuild->tag_count - i;
        ok = rebuild_announce_patiently(cache, redis, rebuild->tags + i,
                                        left < TAGS_A_PIPELINE ? left : TAGS_A_PIPELINE, err);
    }
    if (redis) {
        redis_destroy(redis);
    }
    cache_destroy(cache);
    return ok || err_wrap(err,
                          "the view is mended, but Redis could not be told: answers may be "
                          "outdated for %d s, unless its keys api:* are deleted",
                          config->cache.ttl_s);
}

/* changed_rows: what follows from rows that a rebuild changes: their keys are marked for reactions,
 * in the rebuild's transaction, and after it the caches drop the responses that depend on them. */
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "bindings/pg_position.h"
#include "pipeline/database_offsets.h"
#include "rebuild.h"

#define KEYS_A_PIPELINE 5000
#define ATTEMPTS 20
#define PAUSE_US 250000 /* Redis connections pause after a failure */
#define POSITION_TIMEOUT_MS 5000

bool changed_rows_collect(struct rebuild *rebuild, const struct view_table *table,
                          struct err *err) {
    struct buffer sql = {0};
    struct pg_result *rows;
    compare_sql(&rebuild->scope, table, COMPARE_IDS, &sql);
    if (!sql_query_built(&rebuild->session, &sql, &rows, err)) {
        return false;
    }
    size_t count = rebuild->surrogate_key_count + (size_t)pg_rows_count(rows);
    rebuild->surrogate_keys =
        xrealloc(rebuild->surrogate_keys, (count + 1) * sizeof *rebuild->surrogate_keys);
    for (int i = 0; i < pg_rows_count(rows); i++) {
        rebuild->surrogate_keys[rebuild->surrogate_key_count++] = hash64(pg_rows_cell(rows, i, 0));
    }
    pg_rows_free(rows);
    return true;
}

bool changed_rows_mark(struct rebuild *rebuild, const struct view_table *table, struct err *err) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(rebuild->generation, &count);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        for (size_t f = 0; f < reactions[i].follow_count && ok; f++) {
            const struct script_follow *follow = &reactions[i].follows[f];
            if (&rebuild->view->tables[follow->table_index] != table) {
                continue;
            }
            pg_params_add_text(rebuild->session.params, slice_of(reactions[i].name));
            ok = sql_run(&rebuild->session, err,
                         "INSERT INTO aggregator_state.reaction_marks (reaction, key) "
                         "SELECT DISTINCT $1::text, d.\"%s\" FROM %s.\"differences_%s\" d "
                         "WHERE d.\"%s\" IS NOT NULL",
                         follow->column, rebuild->shadow.schema, table->name, follow->column);
        }
    }
    return ok;
}

/* ---- the caches ---------------------------------------------------------------------------- */

static void changed_rows_note_reply(void *context, size_t index, const redisReply *reply) {
    (void)index;
    bool *refused = context;
    *refused = *refused || reply->type == REDIS_REPLY_ERROR;
}

static bool changed_rows_send(struct cache *cache, struct redis *redis,
                              const struct cache_announcement *announcement, struct err *err) {
    for (int i = 0; i < ATTEMPTS; i++) {
        bool refused = false;
        if (cache_append_announcement(cache, redis, announcement, err) &&
            redis_run(redis, changed_rows_note_reply, &refused, err) &&
            (!refused || err_set(err, ERR_UNAVAILABLE, "redis rejected a command"))) {
            return true;
        }
        usleep(PAUSE_US);
    }
    return false;
}

/* Of the commit, for who reads from replicas. */
static bool changed_rows_ask_position(struct rebuild *rebuild, uint64_t *view,
                                      char text[PG_POSITION_DIGITS + 1], struct err *err) {
    struct pg_position position;
    text[0] = '\0';
    if (rebuild->options.config->postgres.read_urls.count == 0) {
        return true;
    }
    bool ok = offsets_ask_epoch(rebuild->session.pg, POSITION_TIMEOUT_MS, view, err) &&
              pg_position_ask(rebuild->session.pg, POSITION_TIMEOUT_MS, &position, NULL, err);
    if (ok) {
        pg_position_format(position, text);
    }
    return ok;
}

bool changed_rows_announce(struct rebuild *rebuild, struct err *err) {
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
    uint64_t view = 0;
    char position[PG_POSITION_DIGITS + 1];
    bool ok = redis && changed_rows_ask_position(rebuild, &view, position, err);
    for (size_t i = 0; ok && i < rebuild->surrogate_key_count; i += KEYS_A_PIPELINE) {
        size_t left = rebuild->surrogate_key_count - i;
        struct cache_announcement announcement = {
            .view = view,
            .position = position[0] ? position : NULL,
            .tags = rebuild->surrogate_keys + i,
            .tag_count = left < KEYS_A_PIPELINE ? left : KEYS_A_PIPELINE};
        ok = changed_rows_send(cache, redis, &announcement, err);
    }
    if (redis) {
        redis_destroy(redis);
    }
    cache_destroy(cache);
    return ok ||
           err_wrap(err,
                    "the view is repaired, but Redis did not get the invalidations: responses "
                    "may be outdated for %d s; delete the keys api:* to avoid that",
                    config->cache.ttl_s);
}

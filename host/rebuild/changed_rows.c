/* changed_rows: what follows from rows that a rebuild changes: their keys are marked for reactions,
 * in the rebuild's transaction, and after it the caches drop the responses that depend on them. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "pipeline/announce_tags.h"
#include "rebuild.h"

#define ATTEMPTS 20
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

/* Also without a known position: other processes would keep what is outdated. */
static bool changed_rows_send(struct rebuild *rebuild, struct cache *cache, struct redis *redis,
                              struct err *err) {
    struct announce_position position;
    bool ok = announce_tags_ask_position(rebuild->session.pg, rebuild->options.config,
                                         POSITION_TIMEOUT_MS, &position, err);
    struct cache_announcement announcement = {.view = position.view,
                                              .position = position.text[0] ? position.text : NULL,
                                              .tags = rebuild->surrogate_keys,
                                              .tag_count = rebuild->surrogate_key_count};
    return announce_tags_send(cache, redis, &announcement, ATTEMPTS, err) && ok;
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
    bool ok = redis && changed_rows_send(rebuild, cache, redis, err);
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

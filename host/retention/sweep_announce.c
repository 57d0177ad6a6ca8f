#include "sweep_announce.h"

#include <stdio.h>

#include "base/log.h"
#include "bindings/redis.h"
#include "pipeline/announce_tags.h"
#include "pipeline/database_offsets.h"

#define NAME_CAP 96

/* The epoch names the database in Redis. */
static bool sweep_announce_ask(struct sweep *sweep, struct announce_position *position,
                               struct err *err) {
    struct pg *pg = sweep->session.pg;
    return announce_tags_ask_position(pg, sweep->config, SWEEP_STATEMENT_TIMEOUT_MS, position,
                                      err) &&
           (position->view != 0 ||
            offsets_ask_epoch(pg, SWEEP_STATEMENT_TIMEOUT_MS, &position->view, err));
}

/* As announcement_audit.sql reads it. */
static struct cache_position sweep_announce_count(char name[NAME_CAP], const char *table,
                                                  int64_t removed, int64_t rows) {
    snprintf(name, NAME_CAP, "retention/%s", table);
    return (struct cache_position){
        .name = name, .before = (uint64_t)(removed - rows), .counted = (uint64_t)removed};
}

/* The commit stays if it fails. */
void sweep_announce(struct sweep *sweep, const struct view_table *table, int64_t removed,
                    int64_t rows) {
    struct err err = {0};
    struct announce_position position;
    char name[NAME_CAP];
    if (!sweep->cache) {
        sweep->tag_count = 0;
        return;
    }
    bool known = sweep_announce_ask(sweep, &position, &err);
    struct cache_position count = sweep_announce_count(name, table->name, removed, rows);
    struct cache_announcement announcement = {.view = position.view,
                                              .position = position.text[0] ? position.text : NULL,
                                              .tags = sweep->tags,
                                              .tag_count = sweep->tag_count,
                                              .positions = &count,
                                              .position_count = known};
    cache_invalidate(sweep->cache, sweep->tags, sweep->tag_count);
    bool sent = announce_tags_send(sweep->cache, sweep->redis, &announcement, 1, &err);
    if (!known || !sent) {
        log_warning(
            "the caches of all processes are dropped within a second: Redis did not get the "
            "ids of rows that have left, or not the position of their commit",
            LOG_TEXT("error", err.text));
    }
    sweep->tag_count = 0;
}

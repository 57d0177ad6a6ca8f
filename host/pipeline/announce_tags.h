/* announce_tags: tells the caches of a commit outside ingestion: of a rebuild, or of the sweep. */
#pragma once

#include "bindings/pg.h"
#include "bindings/pg_position.h"
#include "cache/cache.h"
#include "config/config.h"

/* Of a commit. */
struct announce_position {
    uint64_t view;
    char text[PG_POSITION_DIGITS + 1]; /* "": nobody reads from replicas, or it is not known */
};

/* To be called before this process' caches are invalidated: who reads again must see the commit.
 * From now on a replica of this process must have replayed it; after false none is asked until the
 * primary has told its position. The session `pg` has committed. */
bool announce_tags_ask_position(struct pg *pg, const struct config *config, int timeout_ms,
                                struct announce_position *position, struct err *err);
/* Tells other processes, through Redis; nobody if it is NULL. `attempts`: of each 5,000 tags, with
 * pauses of 250 ms. The counts go with the last of them. */
bool announce_tags_send(struct cache *cache, struct redis *redis,
                        const struct cache_announcement *announcement, int attempts,
                        struct err *err);

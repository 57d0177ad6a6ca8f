/* unannounced: what commits have touched whose process died before it announced them. Each
 * transaction leaves that with the offsets that it moves (offsets_send). */
#pragma once

#include "bindings/pg.h"
#include "cache/cache.h"

/* The announcement of commits, with what its texts are in. */
struct unannounced {
    struct cache_announcement announcement;
    struct pg_result *rows;
};

/* Finds the announcement of the commits that `late` lacks: positions, in the order of their names,
 * with the count that was announced of each. It has the other partitions that these commits moved,
 * too: a commit that follows on one of them may replace what is known of all. False: it cannot be
 * known (a partition has had more than one commit since, or one with too many tags), or the query
 * failed and err is set. Free it with unannounced_free after true; it borrows the names of `late`.
 */
bool unannounced_find(struct pg *pg, int timeout_ms, const struct cache_announcement *late,
                      struct unannounced *found, struct err *err);
void unannounced_free(struct unannounced *found);

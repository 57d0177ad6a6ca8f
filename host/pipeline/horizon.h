/* horizon: what is older has left the view (docs/ARCHITECTURE.md, "Why retention converges"). An
 * event older than expired_before of a table writes nothing into it. The database owns the
 * horizons: they only move forward, and a transaction that depends on one holds it. A view without
 * `retention` costs nothing here. The pipeline's thread. */
#pragma once

#include "bindings/pg.h"
#include "batch.h"

struct view;

struct horizon {
    struct horizon_root {
        char *table;
        int64_t expired_before_us; /* INT64_MIN: nothing has left yet */
    } * roots;
    size_t count;
    int64_t recent_us; /* of the wall clock: younger events are older than no horizon */
};

/* Reads the horizons of the view's tables. */
bool horizon_read(struct horizon *horizon, const struct view *view, struct pg *pg, int timeout_ms,
                  struct err *err);
/* Without a database: the horizons that a sweep of today would give the view's tables. */
void horizon_expect(struct horizon *horizon, const struct view *view, int64_t now_us);
void horizon_free(struct horizon *horizon);
/* The first table that drops what an event of this time writes; NULL: none. */
const struct horizon_root *horizon_passed(const struct horizon *horizon, int64_t at_us);
/* INT64_MIN: nothing of the table has left. */
int64_t horizon_expired_before_us(const struct horizon *horizon, const char *table);
/* Before the events of a turn are handled. */
void horizon_begin_turn(struct horizon *horizon);
/* Removes from the staged merges what has left. True: nothing is left of an event that merged
 * something, and the event is expired. */
bool horizon_expires(struct pipeline *pipeline, struct batch *batch);
/* Queues a statement that holds the horizons until the transaction ends, and fails with
 * ERR_CONFLICT if one has moved. Only of a batch with events that are not recent. */
bool horizon_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

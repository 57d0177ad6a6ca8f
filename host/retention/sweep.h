/* sweep: moves the horizons of the view and deletes the rows that have left, a few at a time, each
 * time in a transaction of its own with all that leaves with them. One process at a time does so.
 * One thread. */
#pragma once

#include "cache/cache.h"
#include "script/script.h"
#include "view/sql_session.h"

#define SWEEP_MAX_ROOTS 500 /* in one transaction */
#define SWEEP_STATEMENT_TIMEOUT_MS 30000
#define SWEEP_ONE_ROW_TIMEOUT_MS (30 * 60 * 1000) /* where 30 s were not enough */

struct sweep {
    const struct config *config;
    const struct view *view;
    struct cache *cache; /* NULL: no cache is told, in no process */
    struct redis *redis; /* NULL: none is configured */
    struct sql_session session;
    size_t roots; /* in the next transaction */
    uint64_t *tags;
    size_t tag_count;
    void (*count)(const char *table, int64_t rows); /* of each commit */
};

struct sweep_state {
    bool moved; /* a horizon exists */
    int64_t horizon_us, expired_before_us;
    int64_t swept_us; /* 0: rows may be left */
    int64_t removed;
};

enum sweep_result {
    SWEEP_FAILED,
    SWEEP_BUSY, /* another process sweeps, or a rebuild holds the horizons */
    SWEEP_MORE, /* rows may be left */
    SWEEP_DONE,
};

/* Connects. Call sweep_close also after false. */
bool sweep_open(struct sweep *sweep, const struct script_generation *generation,
                struct cache *cache, struct err *err);
void sweep_close(struct sweep *sweep);
/* Moves the horizon of the table forward, to at_us or (0) to the day that its retention says.
 * SWEEP_DONE: it is there; another process may have moved it. */
enum sweep_result sweep_move(struct sweep *sweep, const struct view_table *table, int64_t at_us,
                             struct err *err);
/* Deletes the oldest rows that are due. *rows: how many, of all tables. */
enum sweep_result sweep_step(struct sweep *sweep, const struct view_table *table, int64_t *rows,
                             struct err *err);
bool sweep_read_state(struct sql_session *session, const struct view_table *table,
                      struct sweep_state *state, struct err *err);

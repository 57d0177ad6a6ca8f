/* round: one transaction of a reaction: takes marks, runs the query once for all their keys, calls
 * the script for each row, and stores its messages. One thread.
 *
 * An advisory lock of the transaction gives a key to one process at a time. The query runs after
 * the marks are deleted: a later commit sets a new mark. */
#pragma once

#include "bindings/pg.h"
#include "base/arena.h"
#include "base/log_limit.h"
#include "outbox/outbox.h"
#include "script/script.h"

#define ROUND_MAX_KEYS 500

struct round {
    struct pg *pg;
    struct pg_params *params;
    struct arena *arena;
    struct script_generation *generation;
    struct script_instance *instance;
    int timeout_ms;    /* of each exchange with the database */
    int horizon_hours; /* an older fact is not published */
    const char *muted; /* in a shadow run, whose rounds are not counted: the reason; or NULL */
    struct log_limit log_limit;
};

enum round_result {
    ROUND_DONE,
    ROUND_OUTAGE,  /* the database is unavailable: rolled back, err is set */
    ROUND_REFUSED, /* Postgres refused the query or a message: likewise */
};

struct round_counts {
    size_t keys, messages, failed; /* failed: rows whose call raised or timed out */
    const char *failure;           /* the first one, until the next round; or NULL */
    const char *first_key;         /* until the next round; NULL: keys is 0 */
    /* Of a failed round: false if the connection was lost over keys that no round has failed on:
     * an outage. */
    bool keys_at_fault;
};

/* Takes a reference of the generation, and the connection. Needs no database. */
void round_open(struct round *round, struct pg *pg, struct script_generation *generation);
void round_close(struct round *round);

/* Handles at most max_keys keys of one reaction. */
enum round_result round_run(struct round *round, size_t reaction, size_t max_keys,
                            struct round_counts *counts, struct err *err);
/* After ROUND_REFUSED or a query that ended its connection: reduces *max_keys for the next round,
 * until the failing key is alone; parks that key's mark, longer each time. */
bool round_isolate(struct round *round, size_t reaction, const struct round_counts *counts,
                   const char *reason, size_t *max_keys, struct err *err);
/* Makes parked marks due, after a switch of scripts. */
bool round_make_due(struct round *round, struct err *err);

#define ROUND_COUNT_MAX 100000
/* Sets due[i] for each reaction with due marks. */
bool round_look(struct round *round, bool *due, struct err *err);
/* The number of marks, up to ROUND_COUNT_MAX, and the age of the oldest in seconds. */
bool round_measure(struct round *round, int64_t *marks, double *oldest_s, struct err *err);

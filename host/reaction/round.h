/* round: one transaction of a reaction: marks are taken, the query is asked once for all their
 * keys, the script is called for each row, and what it publishes is stored. One thread.
 *
 * A key is worked on by one process at a time (an advisory lock of the transaction), and asked
 * about after its marks are gone: what a later commit changes has a mark of its own. */
#ifndef AGG_HOST_REACTION_ROUND_H
#define AGG_HOST_REACTION_ROUND_H

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
    const char *muted; /* why nothing of the rounds is counted: they are of a shadow; or NULL */
    struct log_limit log_limit;
};

enum round_result {
    ROUND_DONE,
    ROUND_OUTAGE,  /* the database could not be asked: err says why, and nothing was changed */
    ROUND_REFUSED, /* the query or what was to be stored is refused: likewise */
};

struct round_counts {
    size_t keys, messages, failed; /* failed: rows whose call raised or took too long */
    const char *failure;           /* of the first of them, until the next round; or NULL */
};

/* With the settings of the scripts, of which it takes a reference, on a connection that it takes
 * over; no database need be there. */
void round_open(struct round *round, struct pg *pg, struct script_generation *generation);
void round_close(struct round *round);

/* Works on at most max_keys keys of one reaction. */
enum round_result round_run(struct round *round, size_t reaction, size_t max_keys,
                            struct round_counts *counts, struct err *err);
/* After a round that ended in ROUND_REFUSED, or whose query ended its connection: the next is to
 * work on *max_keys, fewer, until the key at fault is alone. The mark of that one waits, longer
 * each time. */
bool round_isolate(struct round *round, size_t reaction, const struct round_counts *counts,
                   const char *reason, size_t *max_keys, struct err *err);
/* Marks that wait for a failure to be mended are due: the scripts are other ones. */
bool round_make_due(struct round *round, struct err *err);

#define ROUND_COUNT_MAX 100000
/* Which reactions have marks that are due, as a flag each. */
bool round_look(struct round *round, bool *due, struct err *err);
/* How many marks there are, up to ROUND_COUNT_MAX, and the age of the oldest in seconds. */
bool round_measure(struct round *round, int64_t *marks, double *oldest_s, struct err *err);

#endif

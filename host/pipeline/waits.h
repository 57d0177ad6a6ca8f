/* waits: which handlers' topics are left alone for now, why, and until when. A state machine of
 * numbers: the time is given. One owner thread.
 *
 * - Trouble, an outage or a breaker that opens, holds a handler for a time that doubles with every
 *   try that fails, with jitter. Then it is tried: its events are fetched and handled as ever, and
 *   the first that fails holds it again. It has settled once events of it are committed.
 * - A turn: for the sake of the others a handler that takes long for each event is held for as long
 *   as it took. That is no trouble. */
#ifndef AGG_HOST_PIPELINE_WAITS_H
#define AGG_HOST_PIPELINE_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITS_FIRST_US 500000
#define WAITS_LAST_US 30000000

enum wait_cause { WAIT_NONE, WAIT_OUTAGE, WAIT_BREAKER };

struct wait {
    enum wait_cause cause; /* its trouble */
    bool held;             /* it is not fetched, until: */
    int64_t retry_at_us;
    bool turn;             /* held for a turn, with or without trouble */
    int tries;             /* that failed since something succeeded last */
    int64_t since_wall_us; /* when its trouble began */
    int64_t spent_us;      /* on its events of the batch that is being handled */
    size_t spent_events;
    char reason[640];
};

struct waits {
    struct wait *items; /* a handler each */
    size_t count;
    uint64_t random; /* for the jitter */
    /* Until the owner puts them back: */
    bool changed; /* something that status shows */
    bool refetch; /* which are held */
};

/* The time, by both clocks. */
struct waits_now {
    int64_t us; /* monotonic */
    int64_t wall_us;
};
struct waits_now waits_now(void);

void waits_init(struct waits *waits, size_t handler_count, uint64_t seed);
void waits_free(struct waits *waits);

/* Trouble holds the handler. True where it begins. */
bool waits_hold(struct waits *waits, size_t handler, enum wait_cause cause, const char *reason,
                struct waits_now now);
/* Holds the handler for as long as the batch has spent on it. */
void waits_hold_turn(struct waits *waits, size_t handler, int64_t now_us);
bool waits_holds(const struct waits *waits, size_t handler);
/* Those that are due are held no longer. */
void waits_progress(struct waits *waits, int64_t now_us);
/* When the next one is due; INT64_MAX: none. */
int64_t waits_next_us(const struct waits *waits);
/* An event of the handler was handled well: the next outage is a first one. */
void waits_note_good(struct waits *waits, size_t handler);
/* Events of it were committed. True where that ends its trouble. */
bool waits_end(struct waits *waits, size_t handler);
/* All that are held are tried now: an outage as if it were the first time; where a breaker has
 * opened the trouble is over. */
void waits_try_all(struct waits *waits);
/* All go on, as if nothing had been. */
void waits_forget(struct waits *waits);

/* Time spent on one event of the handler, in the batch under way. True where it is to be held for a
 * turn: the batch has spent long on it, and each event took long. */
bool waits_spend(struct waits *waits, size_t handler, int64_t spent_us);
void waits_begin_batch(struct waits *waits);

#endif

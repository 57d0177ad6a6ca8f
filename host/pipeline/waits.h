/* waits: which handlers' topics wait, why, and until when. The caller passes the time. One owner
 * thread.
 *
 * - Trouble (an outage, an open breaker) holds a handler for a time with jitter that doubles with
 *   each failed attempt. Then its events are fetched again, and the next failure holds it again. A
 *   commit of its events ends the trouble.
 * - A turn holds a slow handler for as long as the batch spent on it, so that others get their
 *   share. It is no trouble. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITS_FIRST_US 500000
#define WAITS_LAST_US 30000000

enum wait_cause { WAIT_NONE, WAIT_OUTAGE, WAIT_BREAKER };

struct wait {
    enum wait_cause cause; /* its trouble */
    bool held;             /* not fetched until retry_at_us */
    int64_t retry_at_us;
    bool turn;             /* held for a turn, with or without trouble */
    int tries;             /* failed attempts since the last success */
    int64_t since_wall_us; /* when its trouble began */
    int64_t spent_us;      /* on its events of the current batch */
    size_t spent_events;
    char reason[640];
};

struct waits {
    struct wait *items; /* one for each handler */
    size_t count;
    uint64_t random; /* for the jitter */
    /* The owner resets these: */
    bool changed; /* the published status is out of date */
    bool refetch; /* the set of held handlers changed */
};

struct waits_now {
    int64_t us; /* monotonic */
    int64_t wall_us;
};
struct waits_now waits_now(void);

void waits_init(struct waits *waits, size_t handler_count, uint64_t seed);
void waits_free(struct waits *waits);

/* Holds the handler for trouble. True: the trouble is new. */
bool waits_hold(struct waits *waits, size_t handler, enum wait_cause cause, const char *reason,
                struct waits_now now);
/* Holds the handler for the time that the batch spent on it. */
void waits_hold_turn(struct waits *waits, size_t handler, int64_t now_us);
bool waits_holds(const struct waits *waits, size_t handler);
/* Releases the handlers that are due. */
void waits_progress(struct waits *waits, int64_t now_us);
/* When the next one is due; INT64_MAX: none is held. */
int64_t waits_next_us(const struct waits *waits);
/* An event was handled without an outage: the back-off restarts. */
void waits_note_good(struct waits *waits, size_t handler);
/* Events of it were committed. True: that ends its trouble. */
bool waits_end(struct waits *waits, size_t handler);
/* Releases all: outages with a new back-off; an open breaker's trouble ends. */
void waits_try_all(struct waits *waits);
/* Releases all and forgets their trouble. */
void waits_forget(struct waits *waits);

/* Adds time spent on one event in the current batch. True: hold the handler for a turn. */
bool waits_spend(struct waits *waits, size_t handler, int64_t spent_us);
void waits_begin_batch(struct waits *waits);

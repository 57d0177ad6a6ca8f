/* breaker: stops consumption when too large a share of the recent events is rejected: then not the
 * events are at fault but a script or a producer, and a topic must not be rejected away. One owner
 * thread. */
#ifndef AGG_HOST_INGEST_BREAKER_H
#define AGG_HOST_INGEST_BREAKER_H

#include <stdbool.h>
#include <stddef.h>

struct breaker {
    unsigned char *verdicts; /* ring over the last `window` events: 1 = rejected */
    size_t window;
    size_t share_percent; /* opens above it; 100: never */
    size_t count;         /* events in the ring, at most window */
    size_t at;
    size_t rejected;
    bool open;
    bool accepting; /* told to go on: stays closed until the share is normal again */
    char reason[256];
};

void breaker_init(struct breaker *breaker, size_t window_events, size_t share_percent);
void breaker_free(struct breaker *breaker);
/* One event more. `reason` (of a rejection, else NULL) is kept for the message. */
void breaker_note(struct breaker *breaker, const char *reason);
/* An event that was noted as good is rejected after all: the database refuses what it says. */
void breaker_note_refusal(struct breaker *breaker, const char *reason);
/* After a commit: what was noted so far has come to pass. Ends the acceptance of rejections once
 * their share is normal. */
void breaker_settle(struct breaker *breaker);
/* Closes an open breaker with an empty window. accept: what is rejected from now on is rejected
 * until the share is normal again; else (the scripts have changed) it may open again at once. */
void breaker_close(struct breaker *breaker, bool accept);

#endif

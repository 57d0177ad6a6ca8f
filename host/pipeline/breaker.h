/* breaker: says when too large a share of what a handler was given lately is rejected:
 * then not the events are at fault but a script or a producer, and a topic must not be rejected
 * away. One owner thread.
 *
 * - Each handler has a window of its own, the verdicts over its last events: nobody else's good
 *   events hide that it is broken.
 * - A verdict enters a window when its event is committed, so that a batch that is tried again
 *   counts once. Batches under way are judged before: breaker_judge_restart, then breaker_judge for
 *   each of their events in order. All of it is forgotten by the next breaker_judge_restart.
 * - It opens where more than the share of the window is rejected, at each event of the order. A
 *   window with few events is judged as if it had BREAKER_LEAST_EVENTS, and BREAKER_LEAST_REJECTED
 *   must be rejected at the least: a few bad events stop nothing, a broken handler is stopped
 * early.
 * - Nothing of the handler is committed then, and its topics wait (waits.h). When they are tried
 *   again its window is what it was: the first events of which too many are rejected open it again.
 * - After breaker_resume the handler begins with an empty window, and what it rejects is accepted,
 *   until a whole window has entered of which no more than the share is rejected.
 * - After a switch of scripts it begins without verdicts: free it and init it again. */
#ifndef AGG_HOST_PIPELINE_BREAKER_H
#define AGG_HOST_PIPELINE_BREAKER_H

#include <stdbool.h>
#include <stddef.h>

#define BREAKER_LEAST_EVENTS 20 /* or the window, where that is smaller */
#define BREAKER_LEAST_REJECTED 5

struct breaker_window {
    unsigned char *verdicts; /* ring: 1 = rejected */
    size_t count;            /* verdicts in it */
    size_t at;               /* where the next one goes */
    size_t rejected;
};

struct breaker {
    size_t handler_count;
    size_t window_events;
    size_t share_percent;           /* opens above it; 100: never */
    struct breaker_window *entered; /* a handler each: committed */
    struct breaker_window *judged;  /* likewise: committed and under way */
    bool *accepting;                /* likewise: told to go on */
};

void breaker_init(struct breaker *breaker, size_t handler_count, size_t window_events,
                  size_t share_percent);
void breaker_free(struct breaker *breaker);

/* From what is committed on. */
void breaker_judge_restart(struct breaker *breaker);
/* The next event under way. False where the share of its handler is too large: it opens. */
bool breaker_judge(struct breaker *breaker, size_t handler, bool rejected);
#define BREAKER_REASON_CAP 640
/* Why it has opened for the handler, of this name, with the detail of its last rejection. */
void breaker_describe(const struct breaker *breaker, size_t handler, const char *name,
                      const char *detail, char reason[BREAKER_REASON_CAP]);

/* One event was committed. */
void breaker_enter(struct breaker *breaker, size_t handler, bool rejected);
/* What the handler rejects is accepted from now on. */
void breaker_resume(struct breaker *breaker, size_t handler);

#endif

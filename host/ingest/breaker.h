/* breaker: stops consumption when too large a share of what a handler was given lately is rejected:
 * then not the events are at fault but a script or a producer, and a topic must not be rejected
 * away. One owner thread.
 *
 * - Each handler has a window of its own, the verdicts over its last events: nobody else's good
 *   events hide that it is broken.
 * - A verdict enters a window when its event is committed, so that a batch that is tried again
 *   counts once. Batches under way are judged before: breaker_judge_anew, then breaker_judge for
 *   each of their events in order. All of it is forgotten by the next breaker_judge_anew.
 * - It opens where more than the share of the window is rejected, at each event of the order. A
 *   window with few events is judged as if it had BREAKER_LEAST_EVENTS, and BREAKER_LEAST_REJECTED
 *   must be rejected at the least: a few bad events stop nothing, a broken handler is stopped
 * early.
 * - breaker_resume closes it, and the handler that opened it begins with an empty window. What is
 *   rejected of that handler's from now on is accepted, until a whole window has entered of which
 * no more than the share is rejected.
 * - For other scripts it begins anew: free it and init it again. */
#ifndef AGG_HOST_INGEST_BREAKER_H
#define AGG_HOST_INGEST_BREAKER_H

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
    bool open;
    size_t opened_by; /* handler, while open */
    char reason[256];
};

void breaker_init(struct breaker *breaker, size_t handler_count, size_t window_events,
                  size_t share_percent);
void breaker_free(struct breaker *breaker);

/* From what is committed on. */
void breaker_judge_anew(struct breaker *breaker);
/* The next event under way. False where the share of its handler is too large: say what opens it.
 */
bool breaker_judge(struct breaker *breaker, size_t handler, bool rejected);
/* `name` of the handler and `detail` of its last rejection make the reason. */
void breaker_open(struct breaker *breaker, size_t handler, const char *name, const char *detail);

/* One event was committed. */
void breaker_enter(struct breaker *breaker, size_t handler, bool rejected);
void breaker_resume(struct breaker *breaker);

#endif

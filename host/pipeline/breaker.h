/* breaker: opens when too large a share of a handler's last events is rejected: the fault is then a
 * script's or a producer's. One owner thread.
 *
 * - Each handler has its own window of verdicts: other handlers' events do not dilute it.
 * - A verdict enters the window at its commit, so that a retried batch counts once. Before that,
 *   breaker_judge_restart and then breaker_judge for each event in order judge the open batches.
 * - It opens above share_percent. A short window counts as BREAKER_LEAST_EVENTS, and at least
 *   BREAKER_LEAST_REJECTED must be rejected: a few bad events stop nothing.
 * - An open breaker commits no event of the handler; its topics wait (waits.h). The window stays
 * for the next attempt.
 * - After breaker_resume the window is empty and rejections are accepted until one whole window is
 *   within the share.
 * - After a switch of generation: free it and init it again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BREAKER_LEAST_EVENTS 20 /* or the window, where that is smaller */
#define BREAKER_LEAST_REJECTED 5

struct breaker_window {
    unsigned char *verdicts; /* ring: 1 = rejected */
    size_t count;            /* verdicts in it */
    size_t at;               /* index of the next one */
    size_t rejected;
};

struct breaker {
    size_t handler_count;
    size_t window_events;
    size_t share_percent;           /* opens above it; 100: never */
    struct breaker_window *entered; /* one for each handler: committed events */
    struct breaker_window *judged;  /* likewise: committed and open ones */
    bool *accepting;                /* likewise: breaker_resume was called */
};

void breaker_init(struct breaker *breaker, size_t handler_count, size_t window_events,
                  size_t share_percent);
void breaker_free(struct breaker *breaker);

/* Resets the judged windows to the committed ones. */
void breaker_judge_restart(struct breaker *breaker);
/* Judges the next event. False: the breaker opens for the handler. */
bool breaker_judge(struct breaker *breaker, size_t handler, bool rejected);
#define BREAKER_REASON_CAP 640
/* Writes why it opened for the handler; detail: of its last rejection. */
void breaker_describe(const struct breaker *breaker, size_t handler, const char *name,
                      const char *detail, char reason[BREAKER_REASON_CAP]);

/* Enters the verdict of a committed event. */
void breaker_enter(struct breaker *breaker, size_t handler, bool rejected);
/* Accepts the handler's rejections from now on. */
void breaker_resume(struct breaker *breaker, size_t handler);

/* timed_work: runs work that may hang, such as reading a file of a dead mount, on a thread of its
 * own. The caller waits until a deadline and then abandons the thread. */
#pragma once

#include "err.h"

#define TIMED_WORK_ABANDONED_MAX 8 /* threads; then no further work starts */

struct timed_work {
    const char *name; /* for errors: "reading the scripts" */
    void (*run)(void *context);
    void (*destroy)(void *context); /* of abandoned work, once it has ended */
};

/* True: the work has ended; the caller owns the context again. False: it did not start
 * (ERR_INTERNAL; ERR_UNAVAILABLE: too many abandoned threads), or it did not end before the
 * deadline (ERR_TIMEOUT) or the stop of the process (ERR_UNAVAILABLE); `destroy` then frees the
 * context, which must own all that `run` uses. */
bool timed_work_run(const struct timed_work *work, void *context, int timeout_ms, struct err *err);

int timed_work_abandoned(void); /* threads */

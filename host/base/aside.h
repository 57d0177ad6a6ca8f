/* aside: work that may never end, such as reading a file of a mount that hangs, on a thread of its
 * own. Who asks for it waits until a deadline, and goes on without it. */
#ifndef AGG_HOST_BASE_ASIDE_H
#define AGG_HOST_BASE_ASIDE_H

#include "err.h"

#define ASIDE_LEFT_MAX 8 /* threads left behind; then nothing more is begun */

struct aside_work {
    const char *name; /* for errors: "reading the scripts" */
    void (*run)(void *context);
    void (*destroy)(void *context); /* of work that was left behind, when it has ended after all */
};

/* True: the work has ended, and the context is the caller's again. False, with err: it was not
 * begun (ERR_INTERNAL; ERR_UNAVAILABLE where too much was left behind before), or has not ended in
 * time (ERR_TIMEOUT) or before the process was asked to end (ERR_UNAVAILABLE). Then the context is
 * no longer the caller's: it must hold whatever the work uses, and nothing that the caller frees.
 */
bool aside_run(const struct aside_work *work, void *context, int timeout_ms, struct err *err);

/* How many threads are left behind. */
int aside_left(void);

#endif

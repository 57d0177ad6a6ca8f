/* watchdog: sees calls of scripts that no limit ends, because they do not come back from a C
 * function: call.c's hook fires between Lua's instructions only. A call that lasts longer than its
 * limit and scripts.stuck_unready_s is stuck: the process is not ready until it ends. After
 * scripts.stuck_exit_s the process ends itself, for a supervisor to start it anew: what was not
 * committed is read again.
 *
 * A legal call never gets there: bindings wait no longer than the script's own call may last. Time
 * in which this process did not run (it was stopped, or the machine starved it) does not count. */
#ifndef AGG_HOST_SCRIPT_WATCHDOG_H
#define AGG_HOST_SCRIPT_WATCHDOG_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

struct watchdog;

/* Starts the thread that looks. One a process. */
struct watchdog *watchdog_start(struct err *err);
void watchdog_stop(struct watchdog *watchdog);

/* Appends the stuck calls as a JSON list; true: there are none. Any thread. */
bool watchdog_report(struct buffer *json);

/* For the thread, and tests: one look, at this monotonic time. True: the process is to end, and the
 * log says why. */
bool watchdog_look(int64_t now_us);

#endif

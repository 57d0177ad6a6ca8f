/* watchdog: detects calls that no limit ends, because they do not return from a C function: the
 * hook of a call fires between Lua instructions only. A call that exceeds its limit by
 * scripts.stuck_unready_s is stuck: the process is not ready until it ends. After
 * scripts.stuck_exit_s the process exits for its supervisor to restart it; uncommitted events are
 * re-read. No legal call lasts that long: bindings wait no longer than the script's call may last.
 * Time in which the process did not run does not count. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

struct watchdog;

/* Starts the thread; one per process. */
struct watchdog *watchdog_start(struct err *err);
void watchdog_stop(struct watchdog *watchdog);

/* Appends the stuck calls as a JSON list. True: none. Any thread. */
bool watchdog_report(struct buffer *json);

/* For the thread and tests: one check at this monotonic time. True: the process must exit; the log
 * says why. */
bool watchdog_look(int64_t now_us);

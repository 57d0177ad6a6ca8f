/* redis_refusal: counts, logs once and remembers commands that a reachable Redis refuses: a missing
 * right, a cluster, a replica, no memory. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REDIS_REFUSAL_TEXT_CAP 160

/* An error reply of Redis; ignores errors of the command itself. True: a replica refuses to write.
 */
bool redis_refusal_note(const char *error);
/* The refusal of the last 15 seconds, without host, user or key; false: none. The service calls
 * Redis more often than that. */
bool redis_refusal_now(char text[REDIS_REFUSAL_TEXT_CAP]);
/* Redis takes commands again that it refused. What else it refuses is noted at the next call. */
void redis_refusal_forget(void);

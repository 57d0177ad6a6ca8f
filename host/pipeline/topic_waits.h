/* topic_waits: lets a handler's topics wait, and logs their begin and end. The pipeline's thread.
 */
#pragma once

#include "partitions.h"
#include "waits.h"

struct pipeline;

/* Lets the handler's topics wait. Logs it unless they wait already. */
void topic_waits_begin(struct pipeline *pipeline, size_t handler, enum wait_cause cause,
                       const char *reason);
/* Events of the handler were committed: ends its trouble. */
void topic_waits_note_committed(struct pipeline *pipeline, size_t handler);
/* True: the partition must not be fetched. */
bool topic_waits_hold(const struct pipeline *pipeline, const struct partition *partition);

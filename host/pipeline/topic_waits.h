/* topic_waits: which of a pipeline's topics wait, and since when the log says so. The pipeline's
 * thread. */
#ifndef AGG_HOST_PIPELINE_TOPIC_WAITS_H
#define AGG_HOST_PIPELINE_TOPIC_WAITS_H

#include "partitions.h"
#include "waits.h"

struct pipeline;

/* A handler's topics wait from now on; logged where they did not before. */
void topic_waits_begin(struct pipeline *pipeline, size_t handler, enum wait_cause cause,
                       const char *reason);
/* Events of the handler were committed: its trouble may have ended. */
void topic_waits_note_committed(struct pipeline *pipeline, size_t handler);
/* Whether the partition is not to be fetched for now. */
bool topic_waits_hold(const struct pipeline *pipeline, const struct partition *partition);

#endif

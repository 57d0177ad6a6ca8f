/* bisect: commits a batch of which the database has refused a row. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_BISECT_H
#define AGG_HOST_PIPELINE_BISECT_H

#include "batch.h"

/* True if the batch's data caused the failure and the connection still works. */
bool bisect_is_due(const struct pipeline *pipeline, const struct err *err);
/* Repeats the transaction in steps and rejects the events that the database refuses. */
bool bisect_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);

#endif

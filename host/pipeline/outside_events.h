/* outside_events: events of a muted pipeline whose outcome depends on an outside system. The
 * pipeline's thread. */
#pragma once

#include "batch.h"

/* Excludes such events from the batch's rows and rejections. */
void outside_events_exclude(struct batch *batch);
/* Queues their rows of outside_events, if any. */
bool outside_events_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

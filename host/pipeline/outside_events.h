/* outside_events: events of a muted pipeline that rest on an outside system's answer. The
 * pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_OUTSIDE_EVENTS_H
#define AGG_HOST_PIPELINE_OUTSIDE_EVENTS_H

#include "batch.h"

/* Sets the handled events aside that rest on an outside system's answer; rows and rejections are
 * those of the others. */
void outside_events_exclude(struct batch *batch);
/* Queues their rows of outside_events; nothing where there are none. */
bool outside_events_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

#endif

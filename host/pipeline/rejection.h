/* rejection: events that cannot be applied, with their reasons and their rows in rejected_events.
 * The pipeline's thread. */
#pragma once

#include "batch.h"

/* `text` is "code: detail"; a text without a code counts as handler_error. */
void rejection_set(struct batch *batch, struct event *event, const char *text);
/* Counts and logs a rejected event that was committed. */
void rejection_count(const struct pipeline *pipeline, const struct event *event);
/* Queues the insertion of the batch's rejected events and the trimming of the table. */
bool rejection_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);

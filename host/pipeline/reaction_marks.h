/* reaction_marks: inserts the keys that reactions have to look at. The pipeline's thread. */
#pragma once

#include "script/script.h"
#include "batch.h"

/* The reaction's keys in the batch's rows, sorted and unique; in the batch's arena. */
const struct slice *reaction_marks_collect(struct batch *batch,
                                           const struct script_reaction *reaction, size_t *count);
/* Queues the marks of the whole transaction's rows, if options.marks is set. */
bool reaction_marks_send(struct pipeline *pipeline, struct batch *batch, struct err *err);

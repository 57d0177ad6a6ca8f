/* reaction_marks: the keys that reactions are to look at. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_REACTION_MARKS_H
#define AGG_HOST_PIPELINE_REACTION_MARKS_H

#include "script/script.h"
#include "batch.h"

/* The keys of the reaction that the batch touches, sorted, each once; in the batch's arena. */
const struct slice *reaction_marks_collect(struct batch *batch,
                                           const struct script_reaction *reaction, size_t *count);
/* Queues a mark for each key that the batch touches and a reaction follows; the rows are those of
 * the whole transaction. Nothing where options.marks is not set. */
bool reaction_marks_send(struct pipeline *pipeline, struct batch *batch, struct err *err);

#endif

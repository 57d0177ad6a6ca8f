/* commit: commits a batch with its offsets in one transaction. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_COMMIT_H
#define AGG_HOST_PIPELINE_COMMIT_H

#include "bindings/pg.h"
#include "batch.h"

/* Sends the whole transaction without waiting for it; nothing where that opens the breaker. */
bool commit_begin(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Moves it on without blocking. PG_FAILED with ERR_INPUT: a row was refused, bisect. */
enum pg_progress commit_progress(struct pipeline *pipeline, struct err *err);
/* Waits for the transaction under way to end, at most until its deadline. */
bool commit_wait(struct pipeline *pipeline, struct err *err);
/* The same, and bisects where rows are refused: committed, but for after_commit. */
bool commit_end(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Begins and ends it: committed, but for after_commit. */
bool commit_transaction(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Settles it, and does what follows a commit. */
bool commit_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Finds the events of which nothing stands in the merged rows. */
void commit_mark_superseded(struct batch *batch);

#endif

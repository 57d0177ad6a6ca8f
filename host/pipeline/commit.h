/* commit: commits a batch with its offsets in one transaction; bisect.c does so if the database
 * refuses a row. The pipeline's thread. */
#pragma once

#include "bindings/pg.h"
#include "batch.h"

/* Sends the whole transaction and returns. If the breaker opens, sends nothing and fails. */
bool commit_begin(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Continues without blocking. PG_FAILED with ERR_INPUT: the database refused a row; bisect. */
enum pg_progress commit_progress(struct pipeline *pipeline, struct err *err);
/* Waits for the end of the transaction, at most until its deadline. */
bool commit_wait(struct pipeline *pipeline, struct err *err);
/* commit_wait, then bisects if the database refused a row. The caller runs after_commit. */
bool commit_end(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* commit_begin and commit_end. The caller runs after_commit. */
bool commit_transaction(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* commit_transaction and after_commit. */
bool commit_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);
/* Sets `superseded` of the events whose merges all lost. */
void commit_mark_superseded(struct batch *batch);

/* ---- bisect.c ------------------------------------------------------------------------------ */

/* True if the batch's data caused the failure and the connection still works. */
bool bisect_is_due(const struct pipeline *pipeline, const struct err *err);
/* Repeats the transaction in steps and rejects the events that the database refuses. */
bool bisect_batch(struct pipeline *pipeline, struct batch *batch, struct err *err);

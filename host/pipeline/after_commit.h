/* after_commit: what follows a batch's commit. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_AFTER_COMMIT_H
#define AGG_HOST_PIPELINE_AFTER_COMMIT_H

#include "batch.h"

struct metric_cell;

struct commit_metrics {
    struct metric_cell *processed, *batch_events, *commit_seconds, *rows, *rows_superseded;
    struct metric_cell *merges, *duplicates, *ignored, *superseded, *rejected;
};

/* uncounted: none of them is shown. */
void after_commit_make_metrics(struct commit_metrics *metrics, bool uncounted);
/* Reactions and the outbox' relay are woken, the offsets noted, caches and Redis told, events
 * counted, verdicts entered; the batch is emptied. Waits for nothing but an announcement that is
 * still under way. */
void after_commit(struct pipeline *pipeline, struct batch *batch);

#endif

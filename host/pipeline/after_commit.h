/* after_commit: notifies caches, reactions, the relay and the metrics of a committed batch. The
 * pipeline's thread. */
#pragma once

#include "batch.h"

struct metric_cell;

struct commit_metrics {
    struct metric_cell *processed, *batch_events, *commit_seconds, *rows, *rows_superseded;
    struct metric_cell *merges, *duplicates, *ignored, *superseded, *rejected, *expired;
};

void after_commit_make_metrics(struct commit_metrics *metrics, bool uncounted);
/* Ends by emptying the batch. Waits only for the previous announcement, if it is unfinished. */
void after_commit(struct pipeline *pipeline, struct batch *batch);

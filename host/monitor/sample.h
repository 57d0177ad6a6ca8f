/* sample: what the process did up to this moment, as JSON, for `aggregator top` and `aggregator
 * status`: the caller computes rates from two samples. Any thread. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

/* Appends "NAME":[{"LABEL":"…",…,"value":N},…]: the cells of the program's metric `metric`; the
 * value of a histogram is its count, and "buckets" has the count of each bucket. */
void sample_put_metric(struct buffer *json, const char *name, const char *metric);
/* Appends "at_us" (monotonic), "bounds_s" (the ends of the buckets) and the metrics that
 * `aggregator top` shows, under their own names. */
void sample_put(struct buffer *json);
/* Appends an object: the ids of processed events in Redis, whose bound is max_mb. */
void sample_put_seen(struct buffer *json, const char *name, int max_mb);
/* Appends an object: the lag and the committed offset of each partition that this process reads, or
 * of each topic (ingest.metrics_partitions), and how many partitions of each topic it reads. */
void sample_put_lag(struct buffer *json, const char *name);

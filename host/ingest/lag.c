/* lag: the lag metrics of the worker's partitions. */
#include <stdlib.h>

#include "base/clock.h"
#include "pipeline/topic_waits.h"
#include "worker.h"

#define TIMEOUT_MS 1000

static void lag_set_lag(struct partition *partition, int64_t messages, int64_t age_us) {
    char number[16];
    snprintf(number, sizeof number, "%d", partition->number);
    metric_set(
        metric_cell(metric_family(METRIC_GAUGE, "ras_consumer_lag_messages",
                                  "Records between the committed offset and the partition's end.",
                                  "topic,partition"),
                    partition->topic, number),
        (double)messages);
    metric_set(
        metric_cell(metric_family(METRIC_GAUGE, "ras_consumer_lag_seconds",
                                  "Age of the newest record taken if more are waiting, else 0.",
                                  "topic,partition"),
                    partition->topic, number),
        age_us > 0 ? (double)age_us / 1e6 : 0); /* a producer's clock may be ahead */
    metric_set(metric_cell(metric_family(METRIC_GAUGE, "ras_consumer_committed_offset",
                                         "The offset up to which the partition is committed.",
                                         "topic,partition"),
                           partition->topic, number),
               partition->committed_offset > 0 ? (double)partition->committed_offset : 0);
}

void lag_ask_ends(struct worker *worker) {
    struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_place *ends = consumer_places(worker);
    kafka_consumer_ask(worker->kafka, ends, partitions->count, KAFKA_LOG_END, TIMEOUT_MS);
    for (size_t i = 0; i < partitions->count; i++) {
        partitions->items[i].end_known = ends[i].error.kind == KAFKA_ERROR_NONE;
        if (partitions->items[i].end_known) {
            partitions->items[i].high_offset = ends[i].offset;
            worker->ends_received++;
        }
    }
    free(ends);
}

/* Transaction markers may follow the last record. */
static bool lag_is_at_end(const struct partition *partition) {
    return partition->committed_offset == partition->next_offset &&
           partition->end_offset >= partition->high_offset;
}

bool lag_measure(struct worker *worker) {
    if (!worker->kafka) {
        return true;
    }
    int64_t heard = worker->ends_received;
    bool fetching = consumer_is_fetching(worker);
    bool all = fetching && worker->trouble.partitions == 0 &&
               waits_next_us(&worker->pipeline.waits) == INT64_MAX;
    bool asks = !all && worker->has_assignment && worker->pipeline.partitions.count > 0;
    if (asks) {
        lag_ask_ends(worker); /* the client knows the ends of fetched partitions only */
    }
    for (size_t i = 0; i < worker->pipeline.partitions.count; i++) {
        struct partition *partition = &worker->pipeline.partitions.items[i];
        int64_t bounds[2] = {0, -1};
        if (fetching && !topic_waits_hold(&worker->pipeline, partition) &&
            kafka_consumer_cached_bounds(worker->kafka, partition->topic, partition->number,
                                         bounds)) {
            partition->high_offset = bounds[1];
        }
        if (partition->high_offset < 0) {
            continue;
        }
        int64_t next = partition->committed_offset >= 0 ? partition->committed_offset : bounds[0];
        int64_t lag = lag_is_at_end(partition) ? 0 : partition->high_offset - next;
        int64_t age_us = partition->broker_time_us > 0 && lag > 0
                             ? clock_wall_us() - partition->broker_time_us
                             : 0;
        lag_set_lag(partition, lag > 0 ? lag : 0, age_us);
    }
    return !asks || worker->ends_received > heard;
}

void lag_forget(struct worker *worker) {
    for (size_t i = 0; i < worker->pipeline.partitions.count; i++) {
        lag_set_lag(&worker->pipeline.partitions.items[i], 0, 0);
    }
}

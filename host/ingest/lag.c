/* lag: the lag metrics of the worker's partitions. A worker with many shows the sums of each topic:
 * three series a partition are more than a scrape should carry. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "pipeline/topic_waits.h"
#include "worker.h"

#define TIMEOUT_MS 1000

enum lag_figure { LAG_RECORDS, LAG_SECONDS, LAG_COMMITTED, LAG_FIGURES };
_Static_assert(LAG_FIGURES == PARTITION_LAG_FIGURES, "a partition has a cell for each");

static struct metric *lag_family(enum lag_figure figure) {
    static const struct {
        const char *name, *help;
    } families[LAG_FIGURES] = {
        [LAG_RECORDS] = {"ras_consumer_lag_messages",
                         "Records between the committed offset and the partition's end."},
        [LAG_SECONDS] = {"ras_consumer_lag_seconds",
                         "Age of the newest record taken if more are waiting, else 0."},
        [LAG_COMMITTED] = {"ras_consumer_committed_offset",
                           "The offset up to which the partition is committed."},
    };
    return metric_family(METRIC_GAUGE, families[figure].name, families[figure].help,
                         "topic,partition");
}

static void lag_keep_cells(struct metric_cell **cells, const char *topic, const char *partition) {
    const char *const labels[] = {topic, partition};
    for (enum lag_figure figure = 0; figure < LAG_FIGURES; figure++) {
        cells[figure] = metric_keep(lag_family(figure), labels, 2);
    }
}

static void lag_forget_cells(struct metric_cell **cells) {
    for (enum lag_figure figure = 0; figure < LAG_FIGURES && cells[figure]; figure++) {
        metric_forget(lag_family(figure), cells[figure]);
        cells[figure] = NULL;
    }
}

static void lag_set_cells(struct metric_cell **cells, const double values[LAG_FIGURES]) {
    for (enum lag_figure figure = 0; figure < LAG_FIGURES; figure++) {
        metric_set(cells[figure], values[figure]);
    }
}

/* ---- topics ---------------------------------------------------------------------------------- */

static struct metric *lag_partitions_family(void) {
    return metric_family(METRIC_GAUGE, "ras_consumer_partitions",
                         "Partitions of the topic that the worker reads.", "topic,worker");
}

static void lag_add_topic(struct worker *worker, const char *name) {
    struct lag *lag = &worker->lag;
    char number[16], all[32];
    snprintf(number, sizeof number, "%d", worker->number);
    snprintf(all, sizeof all, "worker %d", worker->number);
    const char *const labels[] = {name, number};
    lag->topics = xrealloc(lag->topics, (lag->topic_count + 1) * sizeof *lag->topics);
    struct lag_topic *topic = &lag->topics[lag->topic_count++];
    *topic = (struct lag_topic){.name = xstrdup(name),
                                .partitions = metric_keep(lag_partitions_family(), labels, 2)};
    if (!lag->by_partition) {
        lag_keep_cells(topic->cells, name, all);
    }
}

static struct lag_topic *lag_topic_of(struct worker *worker, struct partition *partition) {
    struct lag *lag = &worker->lag;
    if (partition->lag.topic == 0) {
        size_t at = 0;
        while (at < lag->topic_count && strcmp(lag->topics[at].name, partition->topic) != 0) {
            at++;
        }
        if (at == lag->topic_count) {
            lag_add_topic(worker, partition->topic);
        }
        partition->lag.topic = at + 1;
    }
    return &lag->topics[partition->lag.topic - 1];
}

static void lag_clear_topics(struct lag *lag) {
    for (size_t i = 0; i < lag->topic_count; i++) {
        lag->topics[i].count = 0;
        memset(lag->topics[i].values, 0, sizeof lag->topics[i].values);
    }
}

static void lag_show_topics(struct lag *lag) {
    for (size_t i = 0; i < lag->topic_count; i++) {
        struct lag_topic *topic = &lag->topics[i];
        metric_set(topic->partitions, topic->count);
        if (!lag->by_partition) {
            lag_set_cells(topic->cells, topic->values);
        }
    }
}

static void lag_forget_topics(struct lag *lag) {
    for (size_t i = 0; i < lag->topic_count; i++) {
        metric_forget(lag_partitions_family(), lag->topics[i].partitions);
        lag_forget_cells(lag->topics[i].cells);
        free(lag->topics[i].name);
    }
    free(lag->topics);
}

/* ---- figures of partitions ------------------------------------------------------------------- */

static void lag_show(struct worker *worker, struct partition *partition, int64_t records,
                     int64_t age_us) {
    const double values[LAG_FIGURES] = {
        [LAG_RECORDS] = (double)records,
        [LAG_SECONDS] = age_us > 0 ? (double)age_us / 1e6 : 0, /* producers' clocks may be ahead */
        [LAG_COMMITTED] = partition->committed_offset > 0 ? (double)partition->committed_offset : 0,
    };
    if (!worker->lag.by_partition) {
        double *sums = lag_topic_of(worker, partition)->values;
        sums[LAG_RECORDS] += values[LAG_RECORDS];
        sums[LAG_COMMITTED] += values[LAG_COMMITTED];
        sums[LAG_SECONDS] = fmax(sums[LAG_SECONDS], values[LAG_SECONDS]);
        return;
    }
    if (!partition->lag.cells[0]) {
        char number[16];
        snprintf(number, sizeof number, "%d", partition->number);
        lag_keep_cells(partition->lag.cells, partition->topic, number);
    }
    lag_set_cells(partition->lag.cells, values);
}

void lag_forget(struct worker *worker) {
    struct partitions *partitions = &worker->pipeline.partitions;
    struct lag *lag = &worker->lag;
    for (size_t i = 0; i < partitions->count; i++) {
        lag_forget_cells(partitions->items[i].lag.cells);
        partitions->items[i].lag = (struct partition_lag){0};
    }
    lag_forget_topics(lag);
    *lag = (struct lag){0};
}

/* ---- measuring ------------------------------------------------------------------------------- */

void lag_ask_ends(struct worker *worker) {
    struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_place *ends = consumer_places(worker);
    worker->lag.rests = false;
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

/* The records that wait, which it shows; negative: the partition's end is not known. */
static int64_t lag_measure_partition(struct worker *worker, struct partition *partition,
                                     bool fetching) {
    int64_t bounds[2] = {0, -1};
    if (fetching && !topic_waits_hold(&worker->pipeline, partition) &&
        kafka_consumer_cached_bounds(worker->kafka, partition->topic, partition->number, bounds)) {
        partition->high_offset = bounds[1];
    }
    if (partition->high_offset < 0) {
        return -1;
    }
    int64_t next = partition->committed_offset >= 0 ? partition->committed_offset : bounds[0];
    int64_t lag = lag_is_at_end(partition) ? 0 : partition->high_offset - next;
    int64_t age_us =
        partition->broker_time_us > 0 && lag > 0 ? clock_wall_us() - partition->broker_time_us : 0;
    lag = lag > 0 ? lag : 0;
    lag_show(worker, partition, lag, age_us);
    return lag;
}

static void lag_measure_all(struct worker *worker, bool fetching) {
    struct partitions *partitions = &worker->pipeline.partitions;
    const struct config *config = worker->config;
    struct lag *lag = &worker->lag;
    size_t most = (size_t)(config->ingest.metrics_partitions / config->ingest.workers);
    lag->by_partition = partitions->count <= most;
    lag->rests = fetching;
    lag->at_events = worker->client_events;
    lag_clear_topics(lag);
    for (size_t i = 0; i < partitions->count; i++) {
        lag_topic_of(worker, &partitions->items[i])->count++;
        lag->rests &= lag_measure_partition(worker, &partitions->items[i], fetching) == 0;
    }
    lag_show_topics(lag);
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
    if (!all || !worker->lag.rests || worker->lag.at_events != worker->client_events) {
        lag_measure_all(worker, fetching);
    }
    return !asks || worker->ends_received > heard;
}

/* report: tells Kafka where the worker's partitions stand, for lag tools. The database owns the
 * offsets: that Kafka refuses them, or does not answer, is no failure of the service. While a
 * report is under way the client can neither begin to fetch nor leave the group, so there is one at
 * a time, and only where something has changed. */
#include "../base/clock.h"
#include "../base/fault.h"
#include "../base/log.h"
#include "kafka_client.h"
#include "worker.h"

#define INTERVAL_US 1000000
#define REFUSED_INTERVAL_US 30000000
#define LAST_TIMEOUT_US 1000000
/* A cooperative rebalance has two rounds. A report of the first one that comes in the second is
 * refused, and costs the client all its partitions (librdkafka 2.0). */
#define COOPERATIVE_REST_US 5000000

static bool is_due(const struct partition *partition) {
    return partition->committed_offset >= 0 &&
           partition->committed_offset != partition->reported_offset;
}

static void report_begin(struct worker *worker) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    struct report *report = &worker->report;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct partition *partition = &partitions->items[i];
        if (is_due(partition)) {
            rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
                partition->committed_offset;
        }
    }
    if (list->cnt > 0) {
        report->is_under_way =
            rd_kafka_commit_queue(worker->kafka, list, report->answers, NULL, NULL) == 0;
        report->at_us = clock_monotonic_us() + INTERVAL_US;
        FAULT_POINT("after_report");
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void report_note_refusal(struct worker *worker, const char *reason) {
    struct report *report = &worker->report;
    report->at_us = clock_monotonic_us() + REFUSED_INTERVAL_US;
    if (!report->is_refused) {
        log_warning("kafka refuses the group's offsets: lag tools show a backlog that is none",
                    LOG_INT("worker", worker->number), LOG_TEXT("error", reason));
    }
    report->is_refused = true;
}

/* Partitions may have been given away since. */
static void report_take(struct worker *worker, rd_kafka_event_t *event) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t refusal = rd_kafka_event_error(event);
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *element = &list->elems[i];
        size_t at =
            partitions_find(&worker->pipeline.partitions, element->topic, element->partition);
        refusal = refusal ? refusal : element->err;
        if (at != PARTITION_NONE && !element->err) {
            worker->pipeline.partitions.items[at].reported_offset = element->offset;
        }
    }
    if (refusal) {
        report_note_refusal(worker, rd_kafka_err2str(refusal));
    } else {
        worker->report.is_refused = false;
    }
}

/* Waits for the answer to what is under way, at most so long. */
static void report_await(struct worker *worker, int timeout_ms) {
    struct report *report = &worker->report;
    rd_kafka_event_t *event =
        report->is_under_way ? rd_kafka_queue_poll(report->answers, timeout_ms) : NULL;
    if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
        report->is_under_way = false;
        report_take(worker, event);
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
}

void report_rest(struct worker *worker) {
    if (kafka_client_is_cooperative(worker->kafka)) {
        worker->report.at_us = clock_monotonic_us() + COOPERATIVE_REST_US;
    }
}

void report_turn(struct worker *worker) {
    report_await(worker, 0);
    if (!worker->report.is_under_way && consumer_is_fetching(worker) &&
        clock_monotonic_us() >= worker->report.at_us) {
        report_begin(worker);
    }
}

void report_last(struct worker *worker) {
    struct report *report = &worker->report;
    int64_t deadline_us = clock_monotonic_us() + LAST_TIMEOUT_US;
    report_await(worker, clock_remaining_ms(deadline_us));
    if (!report->is_under_way && !report->is_refused) {
        report_begin(worker);
        report_await(worker, clock_remaining_ms(deadline_us));
    }
}

/* kafka_offsets: reports committed offsets to Kafka, for lag tools. The database owns the offsets:
 * a refused report is no failure. An open report blocks the client's fetching and leaving, so there
 * is one at a time, of changed offsets only. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "worker.h"

#define INTERVAL_US 1000000
#define REFUSED_INTERVAL_US 30000000
#define LAST_TIMEOUT_US 1000000
/* A cooperative rebalance has two rounds. Kafka refuses a report of the first round that arrives in
 * the second, and librdkafka 2.0 then loses all partitions. */
#define COOPERATIVE_REST_US 5000000

static bool kafka_offsets_is_due(const struct partition *partition) {
    return partition->committed_offset >= 0 &&
           partition->committed_offset != partition->reported_offset;
}

static void kafka_offsets_begin(struct worker *worker) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    struct kafka_offsets *offsets = &worker->kafka_offsets;
    struct kafka_place *places = consumer_places(worker);
    size_t count = 0;
    for (size_t i = 0; i < partitions->count; i++) {
        if (kafka_offsets_is_due(&partitions->items[i])) {
            places[count] = places[i];
            places[count++].offset = partitions->items[i].committed_offset;
        }
    }
    if (count > 0) {
        offsets->is_under_way = kafka_consumer_report(worker->kafka, places, count);
        offsets->at_us = clock_monotonic_us() + INTERVAL_US;
        FAULT_POINT("after_report");
    }
    free(places);
}

static void kafka_offsets_note_refusal(struct worker *worker, const char *reason) {
    struct kafka_offsets *offsets = &worker->kafka_offsets;
    offsets->at_us = clock_monotonic_us() + REFUSED_INTERVAL_US;
    if (!offsets->is_refused) {
        log_warning("kafka refuses the reported offsets: lag tools show too large a lag",
                    LOG_INT("worker", worker->number), LOG_TEXT("error", reason));
    }
    offsets->is_refused = true;
}

/* The partition may have been revoked since. */
static void kafka_offsets_take(void *context, const struct kafka_place *place) {
    struct partitions *partitions = context;
    size_t at = partitions_find(partitions, place->topic, place->partition);
    if (at != PARTITION_NONE && place->error.kind == KAFKA_ERROR_NONE) {
        partitions->items[at].reported_offset = place->offset;
    }
}

/* Waits at most timeout_ms for the reply to an open report. */
static void kafka_offsets_await(struct worker *worker, int timeout_ms) {
    struct kafka_offsets *offsets = &worker->kafka_offsets;
    struct kafka_error refusal;
    if (!offsets->is_under_way ||
        !kafka_consumer_report_reply(worker->kafka, timeout_ms, kafka_offsets_take,
                                     &worker->pipeline.partitions, &refusal)) {
        return;
    }
    offsets->is_under_way = false;
    if (refusal.kind != KAFKA_ERROR_NONE) {
        kafka_offsets_note_refusal(worker, refusal.reason);
    } else {
        offsets->is_refused = false;
    }
}

void kafka_offsets_pause(struct worker *worker) {
    if (kafka_consumer_is_cooperative(worker->kafka)) {
        worker->kafka_offsets.at_us = clock_monotonic_us() + COOPERATIVE_REST_US;
    }
}

void kafka_offsets_turn(struct worker *worker) {
    kafka_offsets_await(worker, 0);
    if (!worker->kafka_offsets.is_under_way && consumer_is_fetching(worker) &&
        clock_monotonic_us() >= worker->kafka_offsets.at_us) {
        kafka_offsets_begin(worker);
    }
}

void kafka_offsets_report_last(struct worker *worker) {
    struct kafka_offsets *offsets = &worker->kafka_offsets;
    int64_t deadline_us = clock_monotonic_us() + LAST_TIMEOUT_US;
    kafka_offsets_await(worker, clock_remaining_ms(deadline_us));
    if (!offsets->is_under_way && !offsets->is_refused) {
        kafka_offsets_begin(worker);
        kafka_offsets_await(worker, clock_remaining_ms(deadline_us));
    }
}

/* rebalance: partitions come and go. Eager assignment: every rebalance takes all and gives anew. A
 * new assignment is not fetched from before Postgres has said where to start; until then the
 * worker keeps polling, which is what keeps it in the group. */
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/fault.h"
#include "../base/log.h"
#include "worker.h"

static void clear_batches(struct worker *worker) {
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_clear(&worker->pipeline, &worker->batches[i]);
    }
}

void rebalance_drop_batches(struct worker *worker) {
    if (worker->inflight) {
        pg_disconnect(worker->pipeline.pg); /* rolls back, or has committed */
        worker->inflight = NULL;
    }
    worker->set_aside = NULL;
    clear_batches(worker);
}

/* What is under way gets a last chance to commit before the partitions go to someone else. */
static void settle_inflight(struct worker *worker) {
    struct err err = {0};
    if (!worker->inflight) {
        return;
    }
    if (!commit_wait(&worker->pipeline, &err)) {
        log_warning("the batch under way was dropped at a rebalance",
                    LOG_INT("worker", worker->number), LOG_TEXT("error", err.text),
                    LOG_TEXT("kind", err_kind_name(err.kind)));
        return;
    }
    struct batch *batch = worker->inflight;
    worker->inflight = NULL;
    commit_finish(&worker->pipeline, batch);
}

static void forget_assignment(struct worker *worker) {
    settle_inflight(worker);
    rebalance_drop_batches(worker);
    lag_forget(worker);
    partitions_clear(&worker->pipeline.partitions);
    waits_forget(&worker->pipeline.waits); /* whoever has them next tries at once */
    clear_batches(worker);
    if (worker->assignment) {
        rd_kafka_topic_partition_list_destroy(worker->assignment);
        worker->assignment = NULL;
    }
    worker->must_load_offsets = false;
    worker->unsettled = 0;
    worker->unsettled_wait_us = 0;
    atomic_store(&worker->assigned, false);
}

static void take_assignment(struct worker *worker, rd_kafka_topic_partition_list_t *partitions) {
    worker->assignment = rd_kafka_topic_partition_list_copy(partitions);
    worker->must_load_offsets = true;
    for (int i = 0; i < partitions->cnt; i++) {
        partitions_add(&worker->pipeline.partitions, partitions->elems[i].topic,
                       partitions->elems[i].partition);
    }
    clear_batches(worker);
}

static void assign(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions) {
    rd_kafka_resp_err_t code = rd_kafka_assign(kafka, partitions);
    if (code) {
        log_warning("kafka refused an assignment", LOG_TEXT("error", rd_kafka_err2str(code)));
    }
}

void rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t code,
               rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct worker *worker = opaque;
    FAULT_POINT("in_rebalance");
    forget_assignment(worker);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        take_assignment(worker, partitions);
        assign(kafka, none);
        rd_kafka_topic_partition_list_destroy(none);
        log_info("partitions assigned", LOG_INT("worker", worker->number),
                 LOG_INT("partitions", partitions->cnt));
    } else {
        assign(kafka, NULL);
        log_info("partitions revoked", LOG_INT("worker", worker->number),
                 LOG_INT("partitions", partitions->cnt));
    }
}

/* rebalance: partitions come and go. With an eager assignor every rebalance takes all and gives
 * all; with a cooperative one (kafka.options) it takes some or gives some, and the worker goes on
 * with the others meanwhile. Partitions are not fetched before Postgres has said where they start;
 * until then the worker keeps polling, which is what keeps it in the group. */
#include "../base/fault.h"
#include "../base/log.h"
#include "../pipeline/after_commit.h"
#include "../pipeline/commit.h"
#include "kafka_client.h"
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
    after_commit(&worker->pipeline, batch);
}

/* ---- the worker's assignment --------------------------------------------------------------- */

static void replace_assignment(struct worker *worker, rd_kafka_topic_partition_list_t *partitions) {
    if (worker->assignment) {
        rd_kafka_topic_partition_list_destroy(worker->assignment);
    }
    worker->assignment = partitions;
    worker->must_load_offsets = partitions != NULL;
    for (int i = 0; partitions && i < partitions->cnt; i++) {
        partitions_add(&worker->pipeline.partitions, partitions->elems[i].topic,
                       partitions->elems[i].partition);
    }
    clear_batches(worker);
}

/* `next`: the partitions that the worker has from now on, its own to destroy; NULL: none. */
static void rebalance_become(struct worker *worker, rd_kafka_topic_partition_list_t *next) {
    rebalance_drop_batches(worker);
    lag_forget(worker);
    trouble_forget_partitions(worker);
    partitions_clear(&worker->pipeline.partitions);
    waits_forget(&worker->pipeline.waits); /* whoever has them next tries at once */
    worker->unsettled = 0;
    worker->unsettled_wait_us = 0;
    atomic_store(&worker->assigned, false);
    replace_assignment(worker, next);
}

void rebalance_forget(struct worker *worker) {
    rebalance_become(worker, NULL);
}

static rd_kafka_topic_partition_list_t *
with_partitions(const rd_kafka_topic_partition_list_t *assignment,
                const rd_kafka_topic_partition_list_t *partitions) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);
    for (int i = 0; assignment && i < assignment->cnt; i++) {
        rd_kafka_topic_partition_list_add(list, assignment->elems[i].topic,
                                          assignment->elems[i].partition);
    }
    return list;
}

static rd_kafka_topic_partition_list_t *
without_partitions(const rd_kafka_topic_partition_list_t *assignment,
                   const rd_kafka_topic_partition_list_t *partitions) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(assignment);
    for (int i = 0; i < partitions->cnt; i++) {
        (void)rd_kafka_topic_partition_list_del(list, partitions->elems[i].topic,
                                                partitions->elems[i].partition);
    }
    return list;
}

/* What the worker has once the partitions have come or gone; NULL: nothing. */
static rd_kafka_topic_partition_list_t *
assignment_after(const struct worker *worker, bool come,
                 const rd_kafka_topic_partition_list_t *partitions) {
    bool cooperative = kafka_client_is_cooperative(worker->kafka);
    if (come) {
        return with_partitions(cooperative ? worker->assignment : NULL, partitions);
    }
    return cooperative && worker->assignment ? without_partitions(worker->assignment, partitions)
                                             : NULL;
}

/* ---- the callback -------------------------------------------------------------------------- */

void rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t code,
               rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct worker *worker = opaque;
    struct err err = {0};
    bool come = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    FAULT_POINT("in_rebalance");
    settle_inflight(worker);
    if (!come && !rd_kafka_assignment_lost(kafka)) {
        report_last(worker);
    }
    rebalance_become(worker, assignment_after(worker, come, partitions));
    if (come) {
        trouble_note_assigned(worker);
    }
    reopen_note_assignment(worker, come);
    report_rest(worker);
    if (!kafka_client_rebalance_done(kafka, come, &err)) {
        log_warning("kafka refused an assignment", LOG_INT("worker", worker->number),
                    LOG_TEXT("error", err.text));
    }
    log_info(come ? "partitions assigned" : "partitions revoked", LOG_INT("worker", worker->number),
             LOG_INT("partitions", partitions->cnt),
             LOG_INT("has", worker->assignment ? worker->assignment->cnt : 0));
}

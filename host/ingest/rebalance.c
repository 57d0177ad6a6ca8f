/* rebalance: applies assignments and revocations. An eager assignor revokes and assigns all
 * partitions, a cooperative one (kafka.options) only those that move. No partition is fetched
 * before its offset is read from Postgres; the worker keeps polling, which keeps it in the group.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/after_commit.h"
#include "pipeline/commit.h"
#include "worker.h"

static void rebalance_clear_batches(struct worker *worker) {
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_clear(&worker->pipeline, &worker->batches[i]);
    }
}

void rebalance_drop_batches(struct worker *worker) {
    if (worker->inflight) {
        pg_disconnect(worker->pipeline.pg); /* the server rolls back unless it has committed */
        worker->inflight = NULL;
    }
    worker->retiring = NULL;
    rebalance_clear_batches(worker);
}

/* Ends the open transaction before the partitions get another owner. */
static void rebalance_commit_inflight(struct worker *worker) {
    struct err err = {0};
    if (!worker->inflight) {
        return;
    }
    if (!commit_wait(&worker->pipeline, &err)) {
        log_warning("a rebalance dropped the open batch", LOG_INT("worker", worker->number),
                    LOG_TEXT("error", err.text), LOG_TEXT("kind", err_kind_name(err.kind)));
        return;
    }
    struct batch *batch = worker->inflight;
    worker->inflight = NULL;
    after_commit(&worker->pipeline, batch);
}

/* ---- the worker's assignment --------------------------------------------------------------- */

/* Forgets the state of the old assignment. */
static void rebalance_begin(struct worker *worker) {
    rebalance_drop_batches(worker);
    lag_forget(worker);
    trouble_forget_partitions(worker);
    waits_forget(&worker->pipeline.waits); /* the partitions' next owner retries at once */
    worker->unplaced = 0;
    worker->unplaced_wait_us = 0;
    atomic_store(&worker->assigned, false);
}

static void rebalance_end(struct worker *worker, bool has_assignment) {
    worker->has_assignment = has_assignment;
    worker->must_load_offsets = has_assignment;
    rebalance_clear_batches(worker);
}

void rebalance_forget(struct worker *worker) {
    rebalance_begin(worker);
    partitions_clear(&worker->pipeline.partitions);
    rebalance_end(worker, false);
}

static void rebalance_partitions(struct partitions *partitions,
                                 const struct kafka_rebalance *change) {
    if (change->cooperative) {
        partitions_reset(partitions);
    } else {
        partitions_clear(partitions);
    }
    for (size_t i = 0; i < change->count; i++) {
        const struct kafka_place *place = &change->places[i];
        if (change->come) {
            partitions_add(partitions, place->topic, place->partition);
        } else {
            partitions_remove(partitions, place->topic, place->partition);
        }
    }
}

/* ---- the callback -------------------------------------------------------------------------- */

void rebalance(void *context, const struct kafka_rebalance *change) {
    struct worker *worker = context;
    FAULT_POINT("in_rebalance");
    rebalance_commit_inflight(worker);
    if (!change->come && !change->lost) {
        kafka_offsets_report_last(worker);
    }
    rebalance_begin(worker);
    rebalance_partitions(&worker->pipeline.partitions, change);
    rebalance_end(worker, change->come || (change->cooperative && worker->has_assignment));
    if (change->come) {
        trouble_end_client(worker);
        atomic_store(&worker->joined, true);
    }
    reopen_note_assignment(worker, change->come);
    worker->active_at_us = clock_monotonic_us(); /* another change may follow soon */
    kafka_offsets_pause(worker);
    log_info(change->come ? "partitions assigned" : "partitions revoked",
             LOG_INT("worker", worker->number), LOG_INT("partitions", (int64_t)change->count),
             LOG_INT("has", (int64_t)worker->pipeline.partitions.count));
}

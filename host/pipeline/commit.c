/* commit: one batch, one transaction, one round trip. Offsets come first: a consumer that lost its
 * partitions fails there and writes nothing. Rows follow by table in declared order with sorted
 * keys, so that pipelines cannot deadlock. */
#include "commit.h"

#include <poll.h>

#include "bindings/pg_metrics.h"
#include "base/clock.h"
#include "base/fault.h"
#include "after_commit.h"
#include "pipeline.h"
#include "transaction.h"
#include "verdicts.h"

/* Added to the server's statement_timeout for the network. */
#define GRACE_MS 5000

void commit_mark_superseded(struct batch *batch) {
    bool *winners = arena_alloc(merge_arena(batch->merge), batch->count + 1);
    bool *merged = arena_alloc(merge_arena(batch->merge), batch->count + 1);
    memset(winners, 0, batch->count);
    memset(merged, 0, batch->count);
    merge_winners(batch->merge, merged, winners);
    for (size_t i = 0; i < batch->count; i++) {
        batch->events[i].superseded = merged[i] && !winners[i];
    }
}

static int commit_limit_ms(const struct pipeline *pipeline) {
    return pipeline->config->postgres.statement_timeout_ms + GRACE_MS;
}

bool commit_begin(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    struct transaction *transaction = &pipeline->transaction;
    transaction_reset(pipeline);
    batch->started_us = transaction->started_us = clock_monotonic_us();
    transaction->deadline_us = transaction->started_us + commit_limit_ms(pipeline) * 1000LL;
    transaction->batch = batch;
    batch->judged = 0;
    commit_mark_superseded(batch);
    if (!verdicts_permit(pipeline, batch, batch->count, err)) {
        return false;
    }
    if (batch->handled < batch->count) {
        return batch_describe_unhandled(pipeline, batch, err);
    }
    bool ok =
        pg_limit_statements(pipeline->pg, commit_limit_ms(pipeline), err) &&
        transaction_send_begin(pipeline, err) && transaction_send_position(pipeline, batch, err) &&
        transaction_send_rows(pipeline, batch, err) && transaction_send_rest(pipeline, batch, err);
    FAULT_POINT("before_commit");
    ok = ok && transaction_send_commit(pipeline, err) && pg_sync(pipeline->pg, err);
    FAULT_POINT("after_commit_sent");
    return ok;
}

static enum pg_progress commit_progress_on(struct pipeline *pipeline, struct err *err) {
    enum pg_progress progress = pg_progress(pipeline->pg, transaction_note, pipeline, err);
    if (progress == PG_DONE && !transaction_acknowledged(pipeline, err)) {
        return PG_FAILED;
    }
    if (progress == PG_PENDING && clock_monotonic_us() > pipeline->transaction.deadline_us) {
        pg_disconnect(pipeline->pg);
        err_set(err, ERR_TIMEOUT,
                "the transaction timed out after %d ms (postgres.statement_timeout_ms and %d ms)",
                commit_limit_ms(pipeline), GRACE_MS);
        return PG_FAILED;
    }
    return progress;
}

enum pg_progress commit_progress(struct pipeline *pipeline, struct err *err) {
    enum pg_progress progress = commit_progress_on(pipeline, err);
    if (progress != PG_PENDING && !pipeline->options.uncounted) {
        pg_metrics_count("commit_batch", progress == PG_DONE, pipeline->transaction.started_us);
    }
    return progress;
}

bool commit_wait(struct pipeline *pipeline, struct err *err) {
    for (;;) {
        enum pg_progress progress = commit_progress(pipeline, err);
        if (progress != PG_PENDING) {
            return progress == PG_DONE;
        }
        struct pollfd wait = {pg_socket(pipeline->pg), pg_poll_events(pipeline->pg), 0};
        poll(&wait, 1, clock_remaining_ms(pipeline->transaction.deadline_us));
    }
}

bool commit_end(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    return commit_wait(pipeline, err) ||
           (bisect_is_due(pipeline, err) && bisect_batch(pipeline, batch, err));
}

bool commit_transaction(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    return commit_begin(pipeline, batch, err) && commit_end(pipeline, batch, err);
}

bool commit_batch(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    if (!commit_transaction(pipeline, batch, err)) {
        return false;
    }
    after_commit(pipeline, batch);
    return true;
}

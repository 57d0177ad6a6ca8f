/* commit: one batch, one transaction, one round trip: the offsets (compare-and-set, so that a
 * consumer which lost its partitions fails first and writes nothing), the merged rows table by
 * table in declared order with sorted keys (so that pipelines cannot deadlock), the rejected
 * events. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../../bindings/pg_metrics.h"
#include "../base/fault.h"
#include "pipeline.h"

/* Beyond the server's own statement_timeout, for the way there and back. */
#define GRACE_MS 5000

static const char retried_sql[] =
    "DELETE FROM rejected_events r USING unnest($1::text[], $2::int4[], $3::int8[]) "
    "AS a (topic, partition, \"offset\") WHERE r.topic = a.topic AND r.partition = a.partition "
    "AND r.\"offset\" = a.\"offset\"";

/* ---- statements ---------------------------------------------------------------------------- */

/* The events of the batch are rows of rejected_events: they leave; those that are rejected again
 * come back by reject_send. */
static bool send_retried(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    struct pg_params *params = pipeline->params;
    const struct partition *partitions = pipeline->partitions.items;
    pg_params_reset(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < batch->count; i++) {
        pg_array_bytes(params, slice_of(partitions[batch->events[i].message.partition].topic));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    for (size_t i = 0; i < batch->count; i++) {
        pg_array_int(params, partitions[batch->events[i].message.partition].number);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT8);
    for (size_t i = 0; i < batch->count; i++) {
        pg_array_int(params, batch->events[i].message.offset);
    }
    pg_array_end(params);
    return pg_send(pipeline->pg, "retried_events", retried_sql, params, false, err);
}

bool commit_send_position(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    return pipeline->options.mode == PIPELINE_RETRY ? send_retried(pipeline, batch, err)
                                                    : offsets_send(pipeline, batch, err);
}

bool commit_send_plain(struct pipeline *pipeline, const char *sql, struct err *err) {
    return pg_send(pipeline->pg, sql, sql, NULL, false, err); /* its text is its name */
}

/* ---- the pipelined transaction ------------------------------------------------------------- */

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

bool commit_begin(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    batch->started_us = pipeline->commit_started_us = clock_monotonic_us();
    pipeline->commit_acknowledged = false;
    pipeline->rows_sent = pipeline->rows_written = 0;
    pipeline->stored = (struct outbox_stored){0};
    pipeline->commit_deadline_us =
        batch->started_us + (pipeline->config->postgres.statement_timeout_ms + GRACE_MS) * 1000LL;
    pipeline->committing = batch;
    batch->judged = 0;
    commit_mark_superseded(batch);
    pipeline->opened_at_commit =
        !batch_is_left(pipeline, batch) && verdicts_judge(pipeline, batch, batch->count) >= 0;
    if (pipeline->opened_at_commit) {
        return err_set(err, ERR_UNAVAILABLE, "too many events are rejected");
    }
    if (batch->handled < batch->count) {
        return batch_say_unhandled(pipeline, batch, err);
    }
    bool ok = commit_send_plain(pipeline, "BEGIN", err) &&
              commit_send_position(pipeline, batch, err) && encode_send(pipeline, batch, err) &&
              publish_send(pipeline, batch, err) && reject_send(pipeline, batch, err) &&
              outside_send(pipeline, batch, err) && marks_send(pipeline, batch, err);
    FAULT_POINT("before_commit");
    ok = ok && commit_send_plain(pipeline, "COMMIT", err) && pg_sync(pipeline->pg, err);
    FAULT_POINT("after_commit_sent");
    return ok;
}

/* COMMIT of a failed block answers ROLLBACK: only the tag tells. */
bool commit_note(void *context, size_t index, PGresult *result, struct err *err) {
    (void)index;
    (void)err;
    struct pipeline *pipeline = context;
    const char *tag = PQcmdStatus(result);
    if (strcmp(tag, "COMMIT") == 0) {
        pipeline->commit_acknowledged = true;
    } else if (strncmp(tag, "INSERT", 6) == 0) {
        pipeline->rows_written += strtoull(PQcmdTuples(result), NULL, 10);
    } else {
        outbox_stored_add(&pipeline->stored, result);
    }
    return true;
}

static enum pg_progress progress_on(struct pipeline *pipeline, struct err *err) {
    enum pg_progress progress = pg_progress(pipeline->pg, commit_note, pipeline, err);
    if (progress == PG_DONE && !pipeline->commit_acknowledged) {
        err_set(err, ERR_INTERNAL, "the transaction was rolled back without an error");
        return PG_FAILED;
    }
    if (progress == PG_PENDING && clock_monotonic_us() > pipeline->commit_deadline_us) {
        pg_disconnect(pipeline->pg);
        err_set(err, ERR_TIMEOUT, "the transaction did not end in time");
        return PG_FAILED;
    }
    return progress;
}

enum pg_progress commit_progress(struct pipeline *pipeline, struct err *err) {
    enum pg_progress progress = progress_on(pipeline, err);
    if (progress != PG_PENDING && !pipeline->options.uncounted) {
        pg_metrics_count("commit_batch", progress == PG_DONE, pipeline->commit_started_us);
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
        poll(&wait, 1, clock_remaining_ms(pipeline->commit_deadline_us));
    }
}

bool commit_settle(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    if (commit_begin(pipeline, batch, err) && commit_wait(pipeline, err)) {
        return true;
    }
    bool refused = err->kind == ERR_INPUT && pg_connected(pipeline->pg);
    return refused && bisect_batch(pipeline, batch, err);
}

bool commit_batch(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    if (!commit_settle(pipeline, batch, err)) {
        return false;
    }
    commit_finish(pipeline, batch);
    return true;
}

/* ---- after the commit ---------------------------------------------------------------------- */

static void count_events(struct pipeline *pipeline, const struct batch *batch) {
    size_t duplicates = 0, ignored = 0, superseded = 0;
    for (size_t i = 0; i < batch->count; i++) {
        duplicates += batch->events[i].state == EVENT_DUPLICATE;
        ignored += batch->events[i].state == EVENT_IGNORED;
        superseded += batch->events[i].superseded && batch->events[i].state == EVENT_APPLIED;
    }
    const struct pipeline_metrics *metrics = &pipeline->metrics;
    metric_add(metrics->processed, (double)(batch->count - batch->waiting));
    if (!pipeline->options.uncounted) {
        script_generation_count(batch->generation, (struct script_counts){
                                                       batch->count - batch->waiting,
                                                       batch->rejected,
                                                   });
    }
    metric_add(metrics->duplicates, (double)duplicates);
    metric_add(metrics->ignored, (double)ignored);
    metric_add(metrics->superseded, (double)superseded);
    metric_add(metrics->rejected, (double)batch->rejected);
    metric_add(metrics->merges, (double)merge_op_count(batch->merge));
    metric_add(metrics->rows, (double)pipeline->rows_sent);
    /* The rows of events that were set aside, and marks, are in the count too. */
    uint64_t written = pipeline->rows_written - batch->rejected - batch->outside - batch->marks;
    if (pipeline->rows_sent > written) {
        metric_add(metrics->rows_superseded, (double)(pipeline->rows_sent - written));
    }
    metric_set(metrics->batch_events, (double)(batch->count - batch->waiting));
    metric_observe(metrics->commit_seconds,
                   (double)(clock_monotonic_us() - batch->started_us) / 1e6);
}

void commit_finish(struct pipeline *pipeline, struct batch *batch) {
    FAULT_POINT("after_commit");
    if (batch->marks > 0 && pipeline->options.marked) {
        pipeline->options.marked(pipeline->options.marked_context);
    }
    struct outbox_stored stored = pipeline->stored;
    if (stored.pending + stored.settled + stored.known > 0 && !pipeline->options.uncounted) {
        outbox_stored_count(&pipeline->stored);
        outbox_wake(pipeline->options.relay);
    }
    offsets_note_committed(pipeline, batch);
    seen_mark(pipeline, batch);
    count_events(pipeline, batch);
    verdicts_enter(pipeline, batch);
    batch_clear(pipeline, batch);
}

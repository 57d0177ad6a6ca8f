/* bisect: what to do with a batch of which the database refuses a row. Halves it with savepoints
 * until the event at fault is alone, rejects that one, and commits the rest. */
#include "pipeline.h"

static bool run(struct pipeline *pipeline, struct err *err) {
    return pg_finish(pipeline->pg, pipeline->config->postgres.statement_timeout_ms + 5000,
                     commit_note, pipeline, err);
}

static bool run_plain(struct pipeline *pipeline, const char *sql, struct err *err) {
    return commit_send_plain(pipeline, sql, err) && run(pipeline, err);
}

/* The level, too: else one would stay for each range that was refused. */
static bool undo_part(struct pipeline *pipeline, struct err *err) {
    return commit_send_plain(pipeline, "ROLLBACK TO SAVEPOINT part", err) &&
           commit_send_plain(pipeline, "RELEASE SAVEPOINT part", err) && run(pipeline, err);
}

static bool try_range(struct pipeline *pipeline, struct batch *batch, size_t first, size_t last,
                      struct err *err) {
    merge_select(batch->merge, first, last);
    encode_forget(batch);
    return run_plain(pipeline, "SAVEPOINT part", err) && encode_send(pipeline, batch, err) &&
           publish_send(pipeline, batch, err) && run(pipeline, err) &&
           run_plain(pipeline, "RELEASE SAVEPOINT part", err);
}

static void reject_refused(struct batch *batch, size_t index, const struct err *refusal) {
    struct event *event = &batch->events[index];
    if (event->state == EVENT_APPLIED) {
        char text[sizeof refusal->text + 32];
        snprintf(text, sizeof text, "database_refused: %s", refusal->text);
        reject_event(batch, event, text);
        batch_forget_unapplied(batch);
    }
}

/* Too many of them: then the batch is dropped rather than rejected away. */
static bool judge(struct pipeline *pipeline, struct batch *batch, size_t last, struct err *err) {
    pipeline->opened_at_commit = verdicts_judge(pipeline, batch, last) >= 0;
    return !pipeline->opened_at_commit ||
           err_set(err, ERR_UNAVAILABLE, "too many events are rejected");
}

/* Depth: the logarithm of the batch. */
static bool apply_range(struct pipeline *pipeline, struct batch *batch, size_t first, size_t last,
                        struct err *err) {
    struct err refusal = {0};
    uint64_t sent = pipeline->rows_sent, written = pipeline->rows_written;
    struct outbox_stored stored = pipeline->stored;
    if (first >= last || try_range(pipeline, batch, first, last, &refusal)) {
        return true;
    }
    pipeline->rows_sent = sent;
    pipeline->rows_written = written;
    pipeline->stored = stored;
    if (refusal.kind != ERR_INPUT) {
        *err = refusal;
        return false;
    }
    if (!undo_part(pipeline, err)) {
        return false;
    }
    if (last - first == 1) {
        reject_refused(batch, first, &refusal);
        return judge(pipeline, batch, last, err);
    }
    size_t middle = first + (last - first) / 2;
    return apply_range(pipeline, batch, first, middle, err) &&
           apply_range(pipeline, batch, middle, last, err);
}

/* The position comes last: only then is it known what was rejected. It is tried first all the
 * same, so that a consumer that lost its partitions does not work for nothing; and taken back. */
static bool check_position(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    return run_plain(pipeline, "SAVEPOINT part", err) &&
           commit_send_position(pipeline, batch, err) && run(pipeline, err) &&
           undo_part(pipeline, err);
}

/* What was refused supersedes nothing, and the breaker has not seen what stands behind it. */
static bool settle_verdicts(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    merge_select(batch->merge, 0, batch->count);
    commit_mark_superseded(batch);
    return judge(pipeline, batch, batch->count, err);
}

bool bisect_batch(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    *err = (struct err){0};
    pipeline->commit_acknowledged = false;
    pipeline->rows_sent = pipeline->rows_written = 0;
    pipeline->stored = (struct outbox_stored){0};
    batch->judged = 0; /* what is found to be refused changes all verdicts behind it */
    bool ok = run_plain(pipeline, "ROLLBACK", err) && run_plain(pipeline, "BEGIN", err) &&
              /* What would be refused at the commit only would be nobody's. */
              run_plain(pipeline, "SET CONSTRAINTS ALL IMMEDIATE", err) &&
              check_position(pipeline, batch, err) &&
              apply_range(pipeline, batch, 0, batch->count, err) &&
              settle_verdicts(pipeline, batch, err) && commit_send_position(pipeline, batch, err) &&
              reject_send(pipeline, batch, err) && outside_send(pipeline, batch, err) &&
              marks_send(pipeline, batch, err) && commit_send_plain(pipeline, "COMMIT", err) &&
              run(pipeline, err);
    return ok && (pipeline->commit_acknowledged ||
                  err_set(err, ERR_INTERNAL, "the transaction was rolled back without an error"));
}

/* bisect: halves a batch with savepoints until the event whose row the database refuses is alone,
 * rejects that event, and commits the others.
 *
 * Locks: every transaction takes offsets, horizons and rows in one order (commit.c). The ranges of
 * a batch are each in that order, but not one behind the other. So a range behind another does not
 * wait for a locked row: the transaction that holds the row may wait for this one. The search
 * begins again instead, and writes all rows up to the range's end in order. */
#include "commit.h"
#include "encode.h"
#include "pipeline.h"
#include "rejection.h"
#include "transaction.h"
#include "verdicts.h"

static bool bisect_run(struct pipeline *pipeline, struct err *err) {
    return pg_finish(pipeline->pg, pipeline->config->postgres.statement_timeout_ms + 5000,
                     transaction_note, pipeline, err);
}

static bool bisect_run_plain(struct pipeline *pipeline, const char *sql, struct err *err) {
    return transaction_send_plain(pipeline, sql, err) && bisect_run(pipeline, err);
}

/* Releases the savepoint, too: otherwise each refused range leaves a nesting level. */
static bool bisect_undo_part(struct pipeline *pipeline, struct err *err) {
    return transaction_send_plain(pipeline, "ROLLBACK TO SAVEPOINT part", err) &&
           transaction_send_plain(pipeline, "RELEASE SAVEPOINT part", err) &&
           bisect_run(pipeline, err);
}

/* Tries the position and rolls it back, so that a consumer that lost its partitions fails early. It
 * is sent again at the end, with the counts of rejected events; its locks stay. */
static bool bisect_begin(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    transaction_reset(pipeline);
    return bisect_run_plain(pipeline, "ROLLBACK", err) && transaction_send_begin(pipeline, err) &&
           bisect_run(pipeline, err) &&
           /* A deferred constraint fails at COMMIT, where no event can be blamed. */
           bisect_run_plain(pipeline, "SET CONSTRAINTS ALL IMMEDIATE", err) &&
           transaction_send_locks(pipeline, batch, err) && bisect_run(pipeline, err) &&
           bisect_run_plain(pipeline, "SAVEPOINT part", err) &&
           transaction_send_position(pipeline, batch, err) && bisect_run(pipeline, err) &&
           bisect_undo_part(pipeline, err);
}

static bool bisect_is_locked(const struct err *err) {
    return strcmp(err->sqlstate, "55P03") == 0;
}

/* Undoes the range where the database refuses it, or lacks a lock. */
static bool bisect_write(struct pipeline *pipeline, struct batch *batch, size_t first, size_t last,
                         struct err *err) {
    struct transaction before = pipeline->transaction;
    struct err undoing = {0};
    merge_select(batch->merge, first, last);
    encode_forget(batch);
    if (bisect_run_plain(pipeline, "SAVEPOINT part", err) &&
        transaction_send_rows(pipeline, batch, err) && bisect_run(pipeline, err) &&
        bisect_run_plain(pipeline, "RELEASE SAVEPOINT part", err)) {
        return true;
    }
    pipeline->transaction = before; /* the range's counts are rolled back */
    if ((err->kind == ERR_INPUT || bisect_is_locked(err)) &&
        !bisect_undo_part(pipeline, &undoing)) {
        *err = undoing;
    }
    return false;
}

/* All rows up to `last`; if they are refused, those up to `first`, which were written before. */
static bool bisect_write_in_order(struct pipeline *pipeline, struct batch *batch, size_t first,
                                  size_t last, struct err *err) {
    struct err rewriting = {0};
    if (!bisect_begin(pipeline, batch, err)) {
        return false;
    }
    bool ok = bisect_write(pipeline, batch, 0, last, err);
    if (!ok && err->kind == ERR_INPUT && !bisect_write(pipeline, batch, 0, first, &rewriting)) {
        err_set(err, ERR_UNAVAILABLE, "rows that were accepted no longer are: %s", rewriting.text);
    }
    return ok;
}

static bool bisect_try_range(struct pipeline *pipeline, struct batch *batch, size_t first,
                             size_t last, struct err *err) {
    if (first == 0) {
        return bisect_write(pipeline, batch, first, last, err);
    }
    /* Postgres has no shorter wait; a deadlock is looked for after a second. */
    if (!bisect_run_plain(pipeline, "SET LOCAL lock_timeout = '1ms'", err)) {
        return false;
    }
    if (bisect_write(pipeline, batch, first, last, err) || !bisect_is_locked(err)) {
        return err->kind == ERR_NONE;
    }
    *err = (struct err){0};
    return bisect_write_in_order(pipeline, batch, first, last, err);
}

static void bisect_reject_refused(struct batch *batch, size_t index, const struct err *refusal) {
    struct event *event = &batch->events[index];
    if (event->state == EVENT_APPLIED) {
        char text[sizeof refusal->text + 32];
        snprintf(text, sizeof text, "database_refused: %s", refusal->text);
        rejection_set(batch, event, text);
        batch_forget_unapplied(batch);
    }
}

/* Recursion depth: log2 of the batch's events. */
static bool bisect_apply_range(struct pipeline *pipeline, struct batch *batch, size_t first,
                               size_t last, struct err *err) {
    struct err refusal = {0};
    if (first >= last || bisect_try_range(pipeline, batch, first, last, &refusal)) {
        return true;
    }
    if (refusal.kind != ERR_INPUT) {
        *err = refusal;
        return false;
    }
    if (last - first == 1) {
        bisect_reject_refused(batch, first, &refusal);
        return verdicts_permit(pipeline, batch, last, err);
    }
    size_t middle = first + (last - first) / 2;
    return bisect_apply_range(pipeline, batch, first, middle, err) &&
           bisect_apply_range(pipeline, batch, middle, last, err);
}

/* Refused events supersede nothing. The breaker judges the events behind the last refused one. */
static bool bisect_judge_rest(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    merge_select(batch->merge, 0, batch->count);
    commit_mark_superseded(batch);
    return verdicts_permit(pipeline, batch, batch->count, err);
}

bool bisect_is_due(const struct pipeline *pipeline, const struct err *err) {
    return err->kind == ERR_INPUT && pg_connected(pipeline->pg);
}

bool bisect_batch(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    *err = (struct err){0};
    batch->judged = 0; /* each refused event changes the verdicts behind it */
    bool ok = bisect_begin(pipeline, batch, err) &&
              bisect_apply_range(pipeline, batch, 0, batch->count, err) &&
              bisect_judge_rest(pipeline, batch, err) &&
              bisect_run_plain(pipeline, "SET LOCAL lock_timeout TO DEFAULT", err) &&
              transaction_send_position(pipeline, batch, err) &&
              transaction_send_rest(pipeline, batch, err) &&
              transaction_send_commit(pipeline, err) && bisect_run(pipeline, err);
    return ok && transaction_acknowledged(pipeline, err);
}

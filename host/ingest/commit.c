/* commit: one batch, one transaction, one round trip: the offsets (compare-and-set, so that a
 * consumer which lost its partitions fails first and writes nothing), the merged rows table by
 * table in declared order with sorted keys (so that workers cannot deadlock), the rejected events.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "../clock.h"
#include "../db_metrics.h"
#include "../hash.h"
#include "../log.h"
#include "../uuid.h"
#include "../view_sql.h"
#include "../xalloc.h"
#include "worker.h"

static const char advance_sql[] =
    "SELECT advance_offset($1::text, topic, partition, expected, next) FROM unnest($2::text[], "
    "$3::int4[], $4::int8[], $5::int8[]) AS a (topic, partition, expected, next) "
    "ORDER BY topic, partition";

static const char reject_sql[] =
    "INSERT INTO rejected_events (topic, partition, \"offset\", reason, detail, raw, event_id, "
    "correlation_id, handler, generation) SELECT topic, partition, \"offset\", reason, detail, "
    "raw, event_id, correlation_id, handler, $1::int8 FROM unnest($2::text[], $3::int4[], "
    "$4::int8[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::text[]) AS r "
    "(topic, partition, \"offset\", reason, detail, raw, event_id, correlation_id, handler) "
    "ON CONFLICT (topic, partition, \"offset\") DO UPDATE SET rejected_at = now(), "
    "reason = EXCLUDED.reason, detail = EXCLUDED.detail, generation = EXCLUDED.generation";

static const char trim_sql[] =
    "DELETE FROM rejected_events WHERE rejected_at < now() - $1::int8 * interval '1 hour' OR "
    "rejected_at < (SELECT rejected_at FROM rejected_events ORDER BY rejected_at DESC "
    "OFFSET $2::int8 LIMIT 1)";

/* ---- statements --------------------------------------------------------------------------- */

static bool send_advance(struct worker *worker, const struct batch *batch, struct err *err) {
    struct pg_params *params = worker->params;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(worker->config->kafka.group));
    for (int column = 0; column < 4; column++) {
        pg_array_begin(params, column == 0   ? PG_ARRAY_TEXT
                               : column == 1 ? PG_ARRAY_INT4
                                             : PG_ARRAY_INT8);
        for (size_t i = 0; i < worker->partition_count; i++) {
            const struct advance *advance = &batch->advances[i];
            if (advance->next < 0) {
                continue;
            }
            if (column == 0) {
                pg_array_bytes(params, slice_of(worker->partitions[i].topic));
            } else {
                pg_array_int(params, column == 1   ? worker->partitions[i].number
                                     : column == 2 ? advance->expected
                                                   : advance->next);
            }
        }
        pg_array_end(params);
    }
    return pg_send(worker->pg, "advance_offsets", advance_sql, params, false, err);
}

/* Names and texts must outlive the connection: they are kept for the life of the worker. There are
 * few: one for each combination of groups that has met in a batch. */
static const struct statement *find_statement(struct worker *worker, size_t table,
                                              uint32_t groups) {
    for (size_t i = 0; i < worker->statement_count; i++) {
        if (worker->statements[i].table == table && worker->statements[i].groups == groups) {
            return &worker->statements[i];
        }
    }
    const struct view *view = script_generation_view(worker->generation);
    struct buffer sql = {0};
    char name[32];
    view_sql_upsert(&view->tables[table], groups, &sql);
    snprintf(name, sizeof name, "upsert_%016" PRIx64, hash64(buffer_slice(&sql)));
    worker->statements =
        xrealloc(worker->statements, (worker->statement_count + 1) * sizeof *worker->statements);
    struct statement *statement = &worker->statements[worker->statement_count++];
    *statement = (struct statement){xstrdup(name), sql.data, table, groups};
    return statement;
}

static bool send_rows(struct worker *worker, struct batch *batch, struct err *err) {
    const struct view *view = script_generation_view(worker->generation);
    for (size_t t = 0; t < view->table_count; t++) {
        size_t count;
        struct merge_row *const *rows = merge_rows(batch->merge, t, &count);
        if (count == 0) {
            continue;
        }
        uint32_t groups = view_sql_groups(&view->tables[t], rows, count);
        const struct statement *statement = find_statement(worker, t, groups);
        view_sql_params(&view->tables[t], groups, rows, count, worker->params);
        metric_add(worker->metrics.rows, (double)count);
        if (!pg_send(worker->pg, statement->name, statement->sql, worker->params, false, err)) {
            return false;
        }
    }
    return true;
}

enum rejected_column {
    R_TOPIC,
    R_PARTITION,
    R_OFFSET,
    R_REASON,
    R_DETAIL,
    R_RAW,
    R_EVENT_ID,
    R_CORRELATION_ID,
    R_HANDLER,
    R_COLUMNS
};

static struct slice rejected_text(const struct worker *worker, const struct event *event,
                                  enum rejected_column column, char *scratch) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(worker->generation, &count);
    const struct extract_value *values = event->values;
    switch (column) {
    case R_TOPIC:
        return slice_of(rd_kafka_topic_name(event->message->rkt));
    case R_REASON:
        return event->reason;
    case R_DETAIL:
        return event->detail;
    case R_RAW:
        return (struct slice){event->message->payload, event->message->len};
    case R_EVENT_ID:
        if (values && values[ENVELOPE_EVENT_ID].present) {
            uuid_format(values[ENVELOPE_EVENT_ID].as.uuid, scratch);
            return slice_of(scratch);
        }
        return (struct slice){0};
    case R_CORRELATION_ID:
        return values && values[ENVELOPE_CORRELATION_ID].present
                   ? values[ENVELOPE_CORRELATION_ID].as.text
                   : (struct slice){0};
    default:
        return event->handler >= 0 ? slice_of(handlers[event->handler].name) : (struct slice){0};
    }
}

static void add_rejected_column(const struct worker *worker, const struct batch *batch,
                                enum rejected_column column) {
    struct pg_params *params = worker->params;
    char scratch[UUID_TEXT_LEN + 1];
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_REJECTED) {
            continue;
        }
        if (column == R_PARTITION || column == R_OFFSET) {
            pg_array_int(params, column == R_PARTITION ? event->message->partition
                                                       : event->message->offset);
            continue;
        }
        struct slice text = rejected_text(worker, event, column, scratch);
        if (text.data) {
            pg_array_bytes(params, text);
        } else {
            pg_array_null(params);
        }
    }
}

static bool send_rejected(struct worker *worker, const struct batch *batch, struct err *err) {
    if (batch->rejected == 0) {
        return true;
    }
    struct pg_params *params = worker->params;
    pg_params_reset(params);
    pg_params_add_int8(params, (int64_t)script_generation_number(worker->generation));
    for (enum rejected_column column = R_TOPIC; column < R_COLUMNS; column++) {
        pg_array_begin(params, column == R_PARTITION ? PG_ARRAY_INT4
                               : column == R_OFFSET  ? PG_ARRAY_INT8
                               : column == R_RAW     ? PG_ARRAY_BYTEA
                                                     : PG_ARRAY_TEXT);
        add_rejected_column(worker, batch, column);
        pg_array_end(params);
    }
    if (!pg_send(worker->pg, "reject_events", reject_sql, params, false, err)) {
        return false;
    }
    pg_params_reset(params);
    pg_params_add_int8(params, worker->config->ingest.rejected_keep_hours);
    pg_params_add_int8(params, worker->config->ingest.rejected_keep_rows);
    return pg_send(worker->pg, "trim_rejected", trim_sql, params, false, err);
}

static bool send_plain(struct worker *worker, const char *sql, struct err *err) {
    return pg_send(worker->pg, sql, sql, NULL, false, err); /* its text is its name */
}

/* ---- the pipelined transaction ------------------------------------------------------------ */

bool commit_begin(struct worker *worker, struct batch *batch, struct err *err) {
    batch->started_us = clock_monotonic_us();
    worker->commit_acknowledged = false;
    worker->inflight_deadline_us =
        batch->started_us + (worker->config->postgres.statement_timeout_ms + 5000) * 1000LL;
    return send_plain(worker, "BEGIN", err) && send_advance(worker, batch, err) &&
           send_rows(worker, batch, err) && send_rejected(worker, batch, err) &&
           send_plain(worker, "COMMIT", err) && pg_sync(worker->pg, err);
}

/* COMMIT of a failed block answers ROLLBACK: only the tag tells. */
static bool note_commit(void *context, size_t index, PGresult *result, struct err *err) {
    (void)index;
    (void)err;
    struct worker *worker = context;
    if (strcmp(PQcmdStatus(result), "COMMIT") == 0) {
        worker->commit_acknowledged = true;
    }
    return true;
}

static enum pg_progress progress_on(struct worker *worker, struct err *err) {
    enum pg_progress progress = pg_progress(worker->pg, note_commit, worker, err);
    if (progress == PG_DONE && !worker->commit_acknowledged) {
        err_set(err, ERR_INTERNAL, "the transaction was rolled back without an error");
        return PG_FAILED;
    }
    if (progress == PG_PENDING && clock_monotonic_us() > worker->inflight_deadline_us) {
        pg_disconnect(worker->pg);
        err_set(err, ERR_TIMEOUT, "the transaction did not end in time");
        return PG_FAILED;
    }
    return progress;
}

enum pg_progress commit_progress(struct worker *worker, struct err *err) {
    enum pg_progress progress = progress_on(worker, err);
    if (progress != PG_PENDING && worker->inflight) {
        db_metrics_count("commit_batch", progress == PG_DONE, worker->inflight->started_us);
    }
    return progress;
}

/* ---- bisection ---------------------------------------------------------------------------- */

static bool run(struct worker *worker, struct err *err) {
    return pg_finish(worker->pg, worker->config->postgres.statement_timeout_ms + 5000, note_commit,
                     worker, err);
}

static bool run_plain(struct worker *worker, const char *sql, struct err *err) {
    return send_plain(worker, sql, err) && run(worker, err);
}

static bool try_range(struct worker *worker, struct batch *batch, size_t first, size_t last,
                      struct err *err) {
    merge_select(batch->merge, first, last);
    return run_plain(worker, "SAVEPOINT part", err) && send_rows(worker, batch, err) &&
           run(worker, err) && run_plain(worker, "RELEASE SAVEPOINT part", err);
}

/* Halves what was refused until the event at fault is alone. Depth: the logarithm of the batch. */
static bool apply_range(struct worker *worker, struct batch *batch, size_t first, size_t last,
                        struct err *err) {
    struct err refusal = {0};
    if (first >= last || try_range(worker, batch, first, last, &refusal)) {
        return true;
    }
    if (refusal.kind != ERR_INPUT) {
        *err = refusal;
        return false;
    }
    if (!run_plain(worker, "ROLLBACK TO SAVEPOINT part", err)) {
        return false;
    }
    if (last - first > 1) {
        size_t middle = first + (last - first) / 2;
        return apply_range(worker, batch, first, middle, err) &&
               apply_range(worker, batch, middle, last, err);
    }
    if (batch->events[first].state == EVENT_APPLIED) {
        char reason[sizeof refusal.text + 32];
        snprintf(reason, sizeof reason, "database_refused: %s", refusal.text);
        batch_reject(batch, &batch->events[first], reason);
    }
    return true;
}

bool commit_bisect(struct worker *worker, struct batch *batch, struct err *err) {
    worker->commit_acknowledged = false;
    bool ok = run_plain(worker, "ROLLBACK", err) && run_plain(worker, "BEGIN", err) &&
              send_advance(worker, batch, err) && run(worker, err) &&
              apply_range(worker, batch, 0, batch->count, err) &&
              send_rejected(worker, batch, err) && send_plain(worker, "COMMIT", err) &&
              run(worker, err);
    return ok && (worker->commit_acknowledged ||
                  err_set(err, ERR_INTERNAL, "the transaction was rolled back without an error"));
}

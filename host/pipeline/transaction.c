#include "transaction.h"

#include <stdlib.h>

#include "database_offsets.h"
#include "encode.h"
#include "event_columns.h"
#include "horizon.h"
#include "outside_events.h"
#include "pipeline.h"
#include "reaction_marks.h"
#include "rejection.h"
#include "pipeline/transaction.sql.h"

/* Deletes the batch's events from rejected_events. rejection_send inserts again those that are
 * rejected again. */
static bool transaction_send_retried(struct pipeline *pipeline, const struct batch *batch,
                                     struct err *err) {
    static const enum event_column columns[] = {COLUMN_TOPIC, COLUMN_PARTITION, COLUMN_OFFSET};
    pg_params_reset(pipeline->params);
    event_columns_add(pipeline, batch, EVENT_COLUMNS_ALL_STATES, columns,
                      sizeof columns / sizeof *columns);
    return pg_send(pipeline->pg, "retried_events", retried_sql, pipeline->params, false, err);
}

void transaction_reset(struct pipeline *pipeline) {
    struct transaction *transaction = &pipeline->transaction;
    transaction->acknowledged = false;
    transaction->rows_sent = transaction->rows_written = 0;
    transaction->stored = (struct outbox_stored){0};
    transaction->position = (struct pg_position){0};
}

bool transaction_send_plain(struct pipeline *pipeline, const char *sql, struct err *err) {
    return pg_send(pipeline->pg, sql, sql, NULL, false, err); /* its text is its name */
}

bool transaction_send_begin(struct pipeline *pipeline, struct err *err) {
    return transaction_send_plain(pipeline, "BEGIN", err) &&
           pg_send(pipeline->pg, "begin_writes", begin_writes_sql, NULL, false, err);
}

bool transaction_send_position(struct pipeline *pipeline, const struct batch *batch,
                               struct err *err) {
    bool ok = pipeline->options.mode == PIPELINE_RETRY
                  ? transaction_send_retried(pipeline, batch, err)
                  : offsets_send(pipeline, batch, err);
    return ok && horizon_send(pipeline, batch, err);
}

bool transaction_send_locks(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    bool has_offsets = pipeline->options.mode != PIPELINE_RETRY;
    return (!has_offsets || offsets_send_lock(pipeline, batch, err)) &&
           horizon_send(pipeline, batch, err);
}

bool transaction_send_rows(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    size_t count;
    const struct outbox_message *messages = merge_messages(batch->merge, &count);
    return encode_send(pipeline, batch, err) &&
           (!pipeline->options.marks || outbox_send(pipeline->pg, pipeline->params, messages, count,
                                                    pipeline->config->outbox.horizon_hours, err));
}

bool transaction_send_rest(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    return rejection_send(pipeline, batch, err) && outside_events_send(pipeline, batch, err) &&
           reaction_marks_send(pipeline, batch, err);
}

bool transaction_send_commit(struct pipeline *pipeline, struct err *err) {
    bool tells = pipeline->options.cache && pipeline->config->postgres.read_urls.count > 0;
    return transaction_send_plain(pipeline, "COMMIT", err) &&
           (!tells || pg_send(pipeline->pg, "wal_position", pg_position_sql, NULL, false, err));
}

/* The reply to COMMIT of a failed transaction has the tag ROLLBACK and is no error. */
bool transaction_note(void *context, size_t index, struct pg_result *result, struct err *err) {
    (void)index;
    (void)err;
    struct transaction *transaction = &((struct pipeline *)context)->transaction;
    const char *tag = pg_rows_command(result);
    if (transaction->acknowledged) {
        return pg_position_read(result, &transaction->position);
    }
    if (strcmp(tag, "COMMIT") == 0) {
        transaction->acknowledged = true;
    } else if (strncmp(tag, "INSERT", 6) == 0) {
        transaction->rows_written += (uint64_t)pg_rows_written(result);
    } else {
        outbox_stored_add(&transaction->stored, result);
    }
    return true;
}

bool transaction_acknowledged(const struct pipeline *pipeline, struct err *err) {
    return pipeline->transaction.acknowledged ||
           err_set(err, ERR_INTERNAL, "the transaction was rolled back without an error");
}

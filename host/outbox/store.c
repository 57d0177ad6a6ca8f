/* store: stores messages in the outbox by one statement. A message older than the horizon is stored
 * as `settled` and never sent. */
#include "outbox.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "outbox/store.sql.h"

enum stored_column {
    S_PENDING,
    S_SETTLED,
    S_KNOWN,
    S_CONFLICTING,
    S_IDENTITY, /* of one conflict, as the rest; NULL: none */
    S_SOURCE,
    S_TOPIC,
    S_KEY,
};

static const struct pg_column message_columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, identity)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, topic)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, key)},
    {PG_ARRAY_BYTEA, offsetof(struct outbox_message, value)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, headers)},
    {PG_ARRAY_TIMESTAMPTZ, offsetof(struct outbox_message, fact_at_us)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, source)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, about)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, scripts)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, traceparent)},
};

bool outbox_send(struct pg *pg, struct pg_params *params, const struct outbox_message *messages,
                 size_t count, int horizon_hours, struct err *err) {
    if (count == 0) {
        return true;
    }
    pg_params_reset(params);
    pg_params_add_int8(params, horizon_hours);
    pg_params_add_rows(params, message_columns, sizeof message_columns / sizeof *message_columns,
                       messages, count, sizeof *messages);
    return pg_send(pg, "store_messages", store_sql, params, false, err);
}

bool outbox_stored_add(struct outbox_stored *stored, const struct pg_result *result) {
    if (pg_rows_count(result) != 1 || pg_rows_find_column(result, "outbox_pending") != 0) {
        return false;
    }
    int64_t *const counts[] = {[S_PENDING] = &stored->pending,
                               [S_SETTLED] = &stored->settled,
                               [S_KNOWN] = &stored->known,
                               [S_CONFLICTING] = &stored->conflicting};
    const struct {
        char *text;
        size_t cap;
    } conflict[] = {{stored->conflict, sizeof stored->conflict},
                    {stored->conflict_source, sizeof stored->conflict_source},
                    {stored->conflict_topic, sizeof stored->conflict_topic},
                    {stored->conflict_key, sizeof stored->conflict_key}};
    for (int column = S_PENDING; column <= S_CONFLICTING; column++) {
        *counts[column] += strtoll(pg_rows_text(result, 0, column), NULL, 10);
    }
    for (int i = 0; i < 4 && !pg_rows_is_null(result, 0, S_IDENTITY); i++) {
        snprintf(conflict[i].text, conflict[i].cap, "%s", pg_rows_text(result, 0, S_IDENTITY + i));
    }
    return true;
}

static void outbox_store_count_as(const char *outcome, int64_t count) {
    struct metric *family =
        metric_family(METRIC_COUNTER, "ras_outbox_messages_total",
                      "Messages given to the outbox, by outcome: pending, settled "
                      "(older than outbox.horizon_hours), known (stored before).",
                      "outcome");
    metric_add(metric_cell(family, outcome), (double)count);
}

void outbox_stored_count(const struct outbox_stored *stored) {
    outbox_store_count_as("pending", stored->pending);
    outbox_store_count_as("settled", stored->settled);
    outbox_store_count_as("known", stored->known);
    metric_add(metric_single(METRIC_COUNTER, "ras_outbox_conflicts_total",
                             "Messages with a stored identity and other content: not published."),
               (double)stored->conflicting);
    if (stored->conflicting > 0) {
        log_error(
            "a message has the identity of a stored one and other content, and is not published: "
            "its identity must name all that its content depends on",
            LOG_TEXT("identity", stored->conflict), LOG_TEXT("source", stored->conflict_source),
            LOG_TEXT("topic", stored->conflict_topic), LOG_TEXT("key", stored->conflict_key),
            LOG_INT("messages", stored->conflicting));
    }
}

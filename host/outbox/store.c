/* store: stores messages in the outbox by one statement. A message older than the horizon is stored
 * as `settled` and never sent. */
#include "outbox.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"

/* The first message of an identity is stored. Others are compared with the stored row, or with the
 * first; a row that a concurrent transaction stores is not visible, and not compared. */
static const char store_sql[] =
    "WITH given AS (SELECT identity COLLATE \"C\" AS identity, topic COLLATE \"C\" AS topic, "
    "key COLLATE \"C\" AS key, value, coalesce(headers, '{}')::jsonb AS headers, fact_at, source, "
    "about, scripts, traceparent, n FROM unnest($2::text[], $3::text[], $4::text[], "
    "$5::bytea[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], "
    "$11::text[]) WITH ORDINALITY AS g (identity, topic, key, value, headers, fact_at, source, "
    "about, scripts, traceparent, n)), "
    "firsts AS (SELECT DISTINCT ON (identity) *, fact_at < now() - $1::int8 * interval '1 hour' "
    "AS old FROM given ORDER BY identity, n), "
    "stored AS (INSERT INTO aggregator_state.outbox (identity, topic, key, value, headers, "
    "fact_at, source, about, scripts, "
    "traceparent, state, done_at, error) SELECT identity, topic, key, value, headers, fact_at, "
    "source, about, scripts, traceparent, CASE WHEN old THEN 'settled' ELSE 'pending' END, "
    "CASE WHEN old THEN now() END, CASE WHEN old THEN 'older than the horizon when it was stored' "
    "END FROM firsts ORDER BY n ON CONFLICT (identity) DO NOTHING RETURNING state), "
    "conflicts AS (SELECT g.identity, g.source, g.topic, g.key FROM given g LEFT JOIN "
    "aggregator_state.outbox o ON "
    "o.identity = g.identity "
    "JOIN firsts f ON f.identity = g.identity "
    "WHERE (g.topic, g.key, g.value, g.headers) IS DISTINCT FROM CASE WHEN o.id IS NULL "
    "THEN (f.topic, f.key, f.value, f.headers) ELSE (o.topic, o.key, o.value, o.headers) END) "
    "SELECT (SELECT count(*) FROM stored WHERE state = 'pending') AS outbox_pending, "
    "(SELECT count(*) FROM stored WHERE state = 'settled'), "
    "(SELECT count(*) FROM given) - (SELECT count(*) FROM stored), "
    "(SELECT count(*) FROM conflicts), one.* FROM (SELECT 1) AS always "
    "LEFT JOIN (SELECT * FROM conflicts ORDER BY identity LIMIT 1) AS one ON true";

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

enum outbox_column {
    O_IDENTITY,
    O_TOPIC,
    O_KEY,
    O_VALUE,
    O_HEADERS,
    O_FACT_AT,
    O_SOURCE,
    O_ABOUT,
    O_SCRIPTS,
    O_TRACEPARENT,
    O_COLUMNS
};

static void outbox_store_add_column(struct pg_params *params, const struct outbox_message *messages,
                                    size_t count, enum outbox_column column) {
    pg_array_begin(params, column == O_VALUE     ? PG_ARRAY_BYTEA
                           : column == O_FACT_AT ? PG_ARRAY_TIMESTAMPTZ
                                                 : PG_ARRAY_TEXT);
    for (const struct outbox_message *at = messages; at < messages + count; at++) {
        const struct slice texts[O_COLUMNS] = {
            [O_IDENTITY] = at->identity,
            [O_TOPIC] = at->topic,
            [O_KEY] = at->key,
            [O_VALUE] = at->value,
            [O_HEADERS] = at->headers,
            [O_SOURCE] = at->source,
            [O_ABOUT] = at->about,
            [O_SCRIPTS] = at->scripts,
            [O_TRACEPARENT] = at->traceparent,
        };
        column == O_FACT_AT ? pg_array_timestamp(params, at->fact_at_us)
                            : pg_array_bytes(params, texts[column]);
    }
    pg_array_end(params);
}

bool outbox_send(struct pg *pg, struct pg_params *params, const struct outbox_message *messages,
                 size_t count, int horizon_hours, struct err *err) {
    if (count == 0) {
        return true;
    }
    pg_params_reset(params);
    pg_params_add_int8(params, horizon_hours);
    for (enum outbox_column column = O_IDENTITY; column < O_COLUMNS; column++) {
        outbox_store_add_column(params, messages, count, column);
    }
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

#include "rows.h"

#include <stdlib.h>

/* A fact dated later than its row counts from the row on, or it would never be past the horizon. */
#define FACT_AT "least(fact_at, created_at)"

static const char claim_sql[] =
    "WITH claim AS (UPDATE aggregator_state.outbox_relay SET holder = $1::text, "
    "until = clock_timestamp() + $2::int8 * interval '1 ms' WHERE holder = $1::text "
    "OR until = '-infinity' OR (until < clock_timestamp() AND $3::bool) RETURNING 1) "
    "SELECT EXISTS (SELECT 1 FROM claim), until < clock_timestamp() FROM "
    "aggregator_state.outbox_relay";

static const char lease_sql[] =
    "INSERT INTO aggregator_state.outbox_relay DEFAULT VALUES ON CONFLICT DO NOTHING";

static const char release_sql[] =
    "UPDATE aggregator_state.outbox_relay SET until = '-infinity' WHERE holder = $1::text";

static const char take_sql[] =
    "SELECT id, topic, key, value, headers, traceparent, "
    "(extract(epoch FROM created_at) * 1e6)::int8, " FACT_AT
    " < now() - $1::int8 * interval '1 hour' "
    "FROM (SELECT *, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS before "
    "FROM (SELECT * FROM aggregator_state.outbox WHERE state = 'pending' AND id <> ALL "
    "($2::int8[]) "
    "AND topic <> ALL ($3::text[]) ORDER BY id LIMIT $4::int8) AS first) AS summed "
    "WHERE before < $5::int8 ORDER BY id";

/* That a message was sent is true whatever somebody made of its row meanwhile. */
static const char note_sql[] =
    "UPDATE aggregator_state.outbox o SET state = r.state, error = r.error, "
    "done_at = CASE WHEN r.state <> 'pending' THEN now() END, "
    "attempts = o.attempts + (r.state IN ('pending', 'failed'))::int "
    "FROM unnest($1::int8[], $2::text[], $3::text[]) AS r (id, state, error) "
    "WHERE o.id = r.id AND (o.state = 'pending' OR r.state = 'sent')";

static const char measure_sql[] = "SELECT (SELECT count(*) FROM (SELECT 1 FROM "
                                  "aggregator_state.outbox WHERE state = 'pending' LIMIT $1::int8) "
                                  "p), "
                                  "(SELECT count(*) FROM (SELECT 1 FROM aggregator_state.outbox "
                                  "WHERE state = 'failed' LIMIT $1::int8) f), "
                                  "coalesce((SELECT extract(epoch FROM clock_timestamp() - "
                                  "created_at) FROM aggregator_state.outbox "
                                  "WHERE state = 'pending' ORDER BY id LIMIT 1), 0)";

/* How many rows there are is counted only where the table may hold too many. Rows leave one horizon
 * after they were done, so that operators find them as long as they are of interest. */
static const char prune_sql[] =
    "DELETE FROM aggregator_state.outbox WHERE id = ANY (ARRAY(SELECT id FROM "
    "aggregator_state.outbox WHERE state <> 'pending' "
    "AND done_at < now() - $1::int8 * interval '1 hour' "
    "AND " FACT_AT " < now() - 2 * $1::int8 * interval '1 hour' ORDER BY done_at LIMIT $2::int8) "
    "|| ARRAY(SELECT id FROM aggregator_state.outbox WHERE state <> 'pending' "
    "AND " FACT_AT " < now() - $1::int8 * interval '1 hour' "
    "AND (SELECT reltuples FROM pg_class WHERE oid = 'aggregator_state.outbox'::regclass) > "
    "$3::int8 "
    "ORDER BY done_at DESC OFFSET $3::int8 LIMIT $2::int8))";

static bool outbox_rows_query(struct rows *rows, const char *name, const char *sql,
                              struct pg_result **result, struct err *err) {
    bool ok = pg_query(rows->pg, name, sql, rows->params, ROWS_STATEMENT_MS + 1000, result, err);
    pg_params_reset(rows->params);
    return ok;
}

/* ---- the lease ------------------------------------------------------------------------------ */

bool rows_claim(struct rows *rows, bool takes_over, enum rows_lease *lease, struct err *err) {
    struct pg_result *row;
    pg_params_add_text(rows->params, slice_of(rows->holder));
    pg_params_add_int8(rows->params, ROWS_LEASE_MS);
    pg_params_add_bool(rows->params, takes_over);
    if (!outbox_rows_query(rows, "outbox_claim", claim_sql, &row, err)) {
        return false;
    }
    if (pg_rows_count(row) == 0) { /* somebody has emptied the table */
        pg_rows_free(row);
        *lease = ROWS_OTHERS;
        return outbox_rows_query(rows, "outbox_lease", lease_sql, NULL, err);
    }
    bool mine = strcmp(pg_rows_text(row, 0, 0), "t") == 0;
    bool run_out = strcmp(pg_rows_text(row, 0, 1), "t") == 0;
    *lease = mine ? ROWS_MINE : run_out ? ROWS_RUN_OUT : ROWS_OTHERS;
    pg_rows_free(row);
    return true;
}

bool rows_release(struct rows *rows, struct err *err) {
    pg_params_add_text(rows->params, slice_of(rows->holder));
    return outbox_rows_query(rows, "outbox_release", release_sql, NULL, err);
}

/* ---- messages ------------------------------------------------------------------------------- */

bool rows_take(struct rows *rows, const struct rows_passed_over *passed_over, size_t limit,
               size_t bytes, struct pg_result **taken, struct err *err) {
    struct pg_params *params = rows->params;
    pg_params_add_int8(params, rows->horizon_hours);
    pg_array_begin(params, PG_ARRAY_INT8);
    for (size_t i = 0; i < passed_over->flying_count; i++) {
        pg_array_int(params, passed_over->flying[i]);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < passed_over->topic_count; i++) {
        pg_array_bytes(params, slice_of(passed_over->topics[i]));
    }
    pg_array_end(params);
    pg_params_add_int8(params, (int64_t)limit);
    pg_params_add_int8(params, (int64_t)bytes);
    return outbox_rows_query(rows, "outbox_take", take_sql, taken, err);
}

bool rows_note(struct rows *rows, const struct row_result *results, size_t count, struct err *err) {
    static const char *const states[] = {
        [ROW_SENT] = "sent",
        [ROW_SETTLED] = "settled",
        [ROW_FAILED] = "failed",
        [ROW_PENDING] = "pending",
    };
    struct pg_params *params = rows->params;
    pg_array_begin(params, PG_ARRAY_INT8);
    for (size_t i = 0; i < count; i++) {
        pg_array_int(params, results[i].id);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        pg_array_bytes(params, slice_of(states[results[i].outcome]));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (results[i].error) {
            pg_array_bytes(params, slice_of(results[i].error));
        } else {
            pg_array_null(params);
        }
    }
    pg_array_end(params);
    return outbox_rows_query(rows, "outbox_note", note_sql, NULL, err);
}

/* ---- the table ------------------------------------------------------------------------------ */

bool rows_measure(struct rows *rows, struct rows_depth *depth, struct err *err) {
    struct pg_result *row;
    pg_params_add_int8(rows->params, ROWS_DEPTH_MAX);
    if (!outbox_rows_query(rows, "outbox_measure", measure_sql, &row, err)) {
        return false;
    }
    depth->pending = strtoll(pg_rows_text(row, 0, 0), NULL, 10);
    depth->failed = strtoll(pg_rows_text(row, 0, 1), NULL, 10);
    depth->oldest_s = strtod(pg_rows_text(row, 0, 2), NULL);
    pg_rows_free(row);
    return true;
}

bool rows_prune(struct rows *rows, int64_t *pruned, struct err *err) {
    struct pg_result *result;
    pg_params_add_int8(rows->params, rows->horizon_hours);
    pg_params_add_int8(rows->params, ROWS_PRUNED);
    pg_params_add_int8(rows->params, rows->keep_rows);
    if (!outbox_rows_query(rows, "outbox_prune", prune_sql, &result, err)) {
        return false;
    }
    *pruned = pg_rows_written(result);
    pg_rows_free(result);
    return true;
}

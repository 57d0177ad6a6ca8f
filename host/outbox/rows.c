#include "rows.h"
#include "outbox/rows.sql.h"

#include <stdlib.h>

#include "base/clock.h"

int rows_timeout_ms(const struct rows *rows, int most_ms) {
    int64_t left_ms = (rows->until_us - clock_monotonic_us()) / 1000;
    if (rows->until_us == 0 || left_ms > most_ms) {
        return most_ms;
    }
    return left_ms > 1 ? (int)left_ms : 1;
}

static bool outbox_rows_query(struct rows *rows, const char *name, const char *sql,
                              struct pg_result **result, struct err *err) {
    int timeout_ms = rows_timeout_ms(rows, ROWS_STATEMENT_MS + 1000);
    bool ok = pg_query(rows->pg, name, sql, rows->params, timeout_ms, result, err);
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
    if (pg_rows_count(row) == 0) { /* the table was emptied by hand */
        pg_rows_free(row);
        *lease = ROWS_OTHERS;
        return outbox_rows_query(rows, "outbox_lease", lease_sql, NULL, err);
    }
    bool mine = strcmp(pg_rows_text(row, 0, 0), "t") == 0;
    bool run_out = strcmp(pg_rows_text(row, 0, 1), "t") == 0;
    rows->alone = strcmp(pg_rows_text(row, 0, 2), "t") == 0;
    *lease = mine ? ROWS_MINE : run_out ? ROWS_RUN_OUT : ROWS_OTHERS;
    pg_rows_free(row);
    return true;
}

bool rows_release(struct rows *rows, struct err *err) {
    pg_params_add_text(rows->params, slice_of(rows->holder));
    return outbox_rows_query(rows, "outbox_release", release_sql, NULL, err);
}

/* ---- messages ------------------------------------------------------------------------------- */

bool rows_take(struct rows *rows, const struct rows_skipped *skipped, size_t limit, size_t bytes,
               struct pg_result **taken, struct err *err) {
    struct pg_params *params = rows->params;
    pg_params_add_int8(params, rows->horizon_hours);
    pg_array_begin(params, PG_ARRAY_INT8);
    for (size_t i = 0; i < skipped->in_flight_count; i++) {
        pg_array_int(params, skipped->in_flight[i]);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < skipped->topic_count; i++) {
        pg_array_bytes(params, slice_of(skipped->topics[i]));
    }
    pg_array_end(params);
    pg_params_add_int8(params, (int64_t)limit);
    pg_params_add_int8(params, (int64_t)bytes);
    return outbox_rows_query(rows, "outbox_take", take_sql, taken, err);
}

bool rows_is_old(const struct pg_result *taken, int row) {
    return strcmp(pg_rows_text(taken, row, ROW_OLD), "t") == 0;
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
        pg_array_bytes(params, slice_of(results[i].error));
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

#include "rebuild.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "view/view_check.h"

#define STATEMENT_TIMEOUT_MS (30 * 60 * 1000) /* comparing a large view takes long */
#define LOCKED_US (10 * 1000000LL)            /* live commits wait while the rest is read */
#define LOCK_TIMEOUT "10s"
/* While the log is read, the transaction with the locks is idle: longer than LOCKED_US, or Postgres
 * ends the session before the deadline. A frozen process holds the locks for so long. */
#define IDLE_TIMEOUT "20s"
#define ATTEMPTS 5
#define MARGIN_US (3600 * 1000000LL) /* for wrong clocks of producers */

/* ---- the shadow ---------------------------------------------------------------------------- */

static bool rebuild_open_parts(struct rebuild *rebuild, struct err *err) {
    static const struct shadow_kind kind = {REBUILD_SCHEMA, 7236018, "rebuild or verify", false};
    const struct config *config = rebuild->options.config;
    rebuild->generation = script_generation_load_service(config, 1, err);
    if (!rebuild->generation) {
        return false;
    }
    rebuild->view = script_generation_view(rebuild->generation);
    return sql_session_open(&rebuild->session, config, "aggregator rebuild", STATEMENT_TIMEOUT_MS,
                            err) &&
           view_sql_check(rebuild->session.pg, rebuild->view, STATEMENT_TIMEOUT_MS, err) &&
           shadow_create(&rebuild->shadow, &rebuild->session, &kind, rebuild->view, err) &&
           log_reader_open(&rebuild->reader, config, rebuild->generation, err) &&
           shadow_fill_open(&rebuild->fill, rebuild->generation, &rebuild->reader, &rebuild->shadow,
                            err);
}

static bool rebuild_fill_shadow(struct rebuild *rebuild, struct err *err) {
    for (size_t i = 0; i < rebuild->reader.count; i++) {
        rebuild->reader.partitions[i].until = rebuild->reader.partitions[i].low;
    }
    progress_start(&rebuild->progress, "building");
    bool ok = log_reader_start(&rebuild->reader, -1, err) && catch_up(rebuild, err);
    progress_end(&rebuild->progress, &rebuild->reader);
    return ok;
}

static void rebuild_note_lost(struct rebuild *rebuild) {
    int64_t us = log_reader_missing_before_us(&rebuild->reader);
    rebuild->scope.lost_before_us = us > 0 && us < INT64_MAX ? us + MARGIN_US : us;
}

/* Of the table: the shadow lacks also what expired events wrote into rows that are still there. */
static struct compare_scope rebuild_scope_of(const struct rebuild *rebuild,
                                             const struct view_table *table) {
    struct compare_scope scope = rebuild->scope;
    const struct horizon *horizon = &rebuild->fill.pipeline.horizon;
    int64_t expired_us =
        table->root < 0
            ? INT64_MIN
            : horizon_expired_before_us(horizon, rebuild->view->tables[table->root].name);
    scope.expires = expired_us > INT64_MIN;
    if (scope.expires && expired_us > scope.lost_before_us) {
        scope.lost_before_us = expired_us;
    }
    return scope;
}

static bool rebuild_note_outside(struct rebuild *rebuild, struct err *err) {
    static const char sql[] = "SELECT EXISTS (SELECT FROM " REBUILD_SCHEMA ".outside_events)::int";
    int64_t outside = 0;
    bool ok = sql_query_int(&rebuild->session, sql, &outside, err);
    rebuild->scope.outside = outside != 0;
    return ok;
}

static bool rebuild_note_time(struct rebuild *rebuild, struct err *err) {
    static const char sql[] = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8";
    int64_t xid = 0;
    bool ok = sql_query_int(&rebuild->session, sql, &xid, err);
    snprintf(rebuild->since_xid, sizeof rebuild->since_xid, "%u", (uint32_t)xid); /* as rows do */
    return ok;
}

static bool rebuild_find_candidates(struct rebuild *rebuild, struct err *err) {
    bool ok = rebuild_note_time(rebuild, err);
    for (size_t i = 0; ok && i < rebuild->view->table_count; i++) {
        struct buffer sql = {0};
        struct compare_scope scope = rebuild_scope_of(rebuild, &rebuild->view->tables[i]);
        compare_sql(&scope, &rebuild->view->tables[i], COMPARE_CANDIDATES, &sql);
        ok = sql_query_built(&rebuild->session, &sql, NULL, err);
    }
    return ok;
}

bool rebuild_open(struct rebuild *rebuild, const struct rebuild_options *options, struct err *err) {
    *rebuild = (struct rebuild){.options = *options};
    if (!rebuild_open_parts(rebuild, err) || !rebuild_fill_shadow(rebuild, err)) {
        return false;
    }
    rebuild->scope.live = rebuild->shadow.live;
    rebuild->scope.shadow = rebuild->shadow.schema;
    rebuild->scope.since_xid = rebuild->since_xid;
    rebuild_note_lost(rebuild);
    report_expired(rebuild);
    return rebuild_note_outside(rebuild, err) && report_rejected(rebuild, err) &&
           report_lost(rebuild, err) && report_outside(rebuild, err) &&
           rebuild_find_candidates(rebuild, err);
}

void rebuild_close(struct rebuild *rebuild) {
    shadow_fill_close(&rebuild->fill);
    log_reader_close(&rebuild->reader);
    shadow_close(&rebuild->shadow, &rebuild->session, rebuild->options.keep_shadow);
    sql_session_close(&rebuild->session);
    script_generation_unref(rebuild->generation);
    free(rebuild->surrogate_keys);
    *rebuild = (struct rebuild){0};
}

/* ---- the moment ---------------------------------------------------------------------------- */

/* Locks in the order of live transactions: the offsets (by topic and partition), then the tables as
 * declared. The table locks also block new partitions and retries of rejected events. Readers go
 * on.
 */
static bool rebuild_hold_live(struct rebuild *rebuild, struct err *err) {
    struct sql_session *session = &rebuild->session;
    pg_params_add_text(session->params, slice_of(rebuild->options.config->kafka.group));
    bool ok = sql_run(session, err,
                      "SELECT FROM aggregator_state.consumer_offsets "
                      "WHERE consumer_group = $1::text ORDER BY topic, partition FOR UPDATE");
    for (size_t i = 0; ok && i < rebuild->view->table_count; i++) {
        ok = sql_run(session, err, "LOCK TABLE %s.\"%s\" IN SHARE ROW EXCLUSIVE MODE",
                     rebuild->shadow.live, rebuild->view->tables[i].name);
    }
    return ok;
}

static bool rebuild_compare_tables(struct rebuild *rebuild, bool quiet, struct err *err) {
    bool ok = true;
    rebuild->different = 0;
    for (size_t i = 0; ok && i < rebuild->view->table_count; i++) {
        const struct view_table *table = &rebuild->view->tables[i];
        struct buffer sql = {0};
        struct compare_scope scope = rebuild_scope_of(rebuild, table);
        compare_sql(&scope, table, COMPARE_RECENT, &sql);
        ok = sql_run(&rebuild->session, err, "DROP TABLE IF EXISTS %s.\"differences_%s\"",
                     rebuild->shadow.schema, table->name) &&
             sql_query_built(&rebuild->session, &sql, NULL, err) &&
             report_differences(rebuild, table, quiet, err);
        buffer_free(&sql);
    }
    return ok;
}

static bool rebuild_repair(struct rebuild *rebuild, struct err *err) {
    bool ok = true;
    rebuild->surrogate_key_count = 0;
    for (size_t i = 0; ok && i < rebuild->view->table_count; i++) {
        const struct view_table *table = &rebuild->view->tables[i];
        struct buffer delete = {0}, upsert = {0};
        compare_sql(&rebuild->scope, table, COMPARE_DELETE, &delete);
        compare_sql(&rebuild->scope, table, COMPARE_UPSERT, &upsert);
        ok = changed_rows_collect(rebuild, table, err) && changed_rows_mark(rebuild, table, err) &&
             sql_query_built(&rebuild->session, &delete, NULL, err) &&
             sql_query_built(&rebuild->session, &upsert, NULL, err);
        buffer_free(&delete);
        buffer_free(&upsert);
    }
    return ok;
}

static bool rebuild_compare_now(struct rebuild *rebuild, bool apply, bool quiet, struct err *err) {
    struct sql_session *session = &rebuild->session;
    int64_t deadline_us = clock_monotonic_us() + LOCKED_US;
    bool ok = sql_run(session, err, "BEGIN ISOLATION LEVEL READ COMMITTED") &&
              sql_run(session, err, "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'") &&
              sql_run(session, err,
                      "SET LOCAL idle_in_transaction_session_timeout = '" IDLE_TIMEOUT "'") &&
              rebuild_hold_live(rebuild, err) && catch_up_bounds(rebuild, err) &&
              shadow_fill_run(&rebuild->fill, deadline_us, NULL, err);
    rebuild_note_lost(rebuild);
    ok = ok && rebuild_note_outside(rebuild, err) && rebuild_compare_tables(rebuild, quiet, err) &&
         (!apply || rebuild_repair(rebuild, err)) && sql_run(session, err, "COMMIT");
    if (!ok && pg_connected(session->pg)) {
        struct err ignored = {0}; /* the first error is the cause */
        (void)sql_run(session, &ignored, "ROLLBACK");
    }
    return ok;
}

static bool rebuild_may_retry(const struct rebuild *rebuild, const struct err *err) {
    return !stop_requested() && (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT) &&
           pg_connected(rebuild->session.pg) && pg_connected(rebuild->fill.pipeline.pg);
}

bool rebuild_compare(struct rebuild *rebuild, bool apply, bool quiet, struct err *err) {
    for (int attempt = 1;; attempt++) {
        err_clear(err);
        if (!catch_up(rebuild, err) || !shadow_still_locked(&rebuild->shadow, err)) {
            return false;
        }
        if (rebuild_compare_now(rebuild, apply, quiet, err)) {
            break;
        }
        if (attempt == ATTEMPTS || !rebuild_may_retry(rebuild, err)) {
            return false;
        }
        log_warning("the comparison under locks on the live view failed: the next attempt follows",
                    LOG_TEXT("error", err->text));
    }
    return !apply || rebuild->different == 0 || changed_rows_announce(rebuild, err);
}

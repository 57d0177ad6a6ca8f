#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/timestamp.h"
#include "base/xalloc.h"
#include "bindings/redis.h"
#include "schema/program_schema.h"
#include "sweep_announce.h"
#include "view/view_sql.h"
#include "retention/sweep.sql.h"

/* Shorter than deadlock_timeout: the sweep gives way, never ingestion. */
#define LOCK_TIMEOUT "500ms"
#define SLOW_US 200000 /* a transaction that took longer is halved … */
#define QUICK_US 50000 /* … and a shorter one doubled */

bool sweep_open(struct sweep *sweep, const struct script_generation *generation,
                struct cache *cache, struct err *err) {
    const struct config *config = script_generation_config(generation);
    *sweep = (struct sweep){
        .config = config,
        .view = script_generation_view(generation),
        .cache = cache,
        .roots = 16,
    };
    if (config->redis.url[0] && cache) {
        sweep->redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
        if (!sweep->redis) {
            return false;
        }
    }
    return sql_session_open(&sweep->session, config, "aggregator retention",
                            SWEEP_STATEMENT_TIMEOUT_MS, err);
}

void sweep_close(struct sweep *sweep) {
    sql_session_close(&sweep->session);
    redis_destroy(sweep->redis);
    free(sweep->tags);
    *sweep = (struct sweep){0};
}

/* ---- one transaction ----------------------------------------------------------------------- */

/* SWEEP_BUSY: another process has the lock, and no transaction is open. */
static enum sweep_result sweep_begin(struct sweep *sweep, struct err *err) {
    struct pg_result *row = NULL;
    static const char try_lock[] = "SELECT pg_try_advisory_xact_lock(" PROGRAM_LOCK_RETENTION ")";
    if (!sql_run(&sweep->session, err, "BEGIN") ||
        !sql_run(&sweep->session, err, "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'") ||
        !sql_query(&sweep->session, slice_of(try_lock), &row, err)) {
        return SWEEP_FAILED;
    }
    bool locked = slice_equal(pg_rows_cell(row, 0, 0), slice_of("t"));
    pg_rows_free(row);
    if (!locked) {
        return sql_run(&sweep->session, err, "ROLLBACK") ? SWEEP_BUSY : SWEEP_FAILED;
    }
    return SWEEP_MORE;
}

static bool sweep_end(struct sweep *sweep, bool ok, struct err *err) {
    if (ok) {
        return sql_run(&sweep->session, err, "COMMIT");
    }
    if (pg_connected(sweep->session.pg)) {
        struct err ignored = {0}; /* the first error is the cause */
        (void)sql_run(&sweep->session, &ignored, "ROLLBACK");
    }
    return false;
}

/* ---- the horizon --------------------------------------------------------------------------- */

/* Makes the row that all lock, where there is none. */
static bool sweep_make_row(struct sweep *sweep, const struct view_table *table, struct err *err) {
    pg_params_add_text(sweep->session.params, slice_of(table->name));
    return sql_query(&sweep->session, slice_of(make_sql), NULL, err);
}

static void sweep_add_time(struct sweep *sweep, int64_t at_us) {
    char at[TIMESTAMP_TEXT_CAP];
    pg_params_add_text(sweep->session.params, (struct slice){at, timestamp_format(at_us, at)});
}

/* Waits for the batches that hold the horizon. *to_us: where it has to move; 0: it is there. */
static bool sweep_lock_row(struct sweep *sweep, const struct view_table *table, int64_t at_us,
                           int64_t *to_us, struct err *err) {
    struct pg_params *params = sweep->session.params;
    struct pg_result *row = NULL;
    pg_params_add_text(params, slice_of(table->name));
    pg_params_add_int8(params, table->retention->days);
    if (at_us == 0) {
        pg_params_add_null(params);
    } else {
        sweep_add_time(sweep, at_us);
    }
    if (!sql_query(&sweep->session, slice_of(lock_sql), &row, err)) {
        return false;
    }
    *to_us = pg_rows_count(row) == 1 ? pg_rows_int(row, 0, 0) : 0;
    pg_rows_free(row);
    return true;
}

static bool sweep_send_move(struct sweep *sweep, const struct view_table *table, int64_t at_us,
                            struct err *err) {
    int64_t to_us = 0;
    if (!sweep_make_row(sweep, table, err) || !sweep_lock_row(sweep, table, at_us, &to_us, err) ||
        to_us == 0) {
        return err->kind == ERR_NONE;
    }
    pg_params_add_text(sweep->session.params, slice_of(table->name));
    sweep_add_time(sweep, to_us);
    pg_params_add_int8(sweep->session.params, table->retention->span_days);
    return sql_query(&sweep->session, slice_of(move_sql), NULL, err);
}

enum sweep_result sweep_move(struct sweep *sweep, const struct view_table *table, int64_t at_us,
                             struct err *err) {
    enum sweep_result result = sweep_begin(sweep, err);
    if (result != SWEEP_MORE) {
        return result;
    }
    bool ok = sweep_send_move(sweep, table, at_us, err);
    return sweep_end(sweep, ok, err) ? SWEEP_DONE : SWEEP_FAILED;
}

bool sweep_read_state(struct sql_session *session, const struct view_table *table,
                      struct sweep_state *state, struct err *err) {
    struct pg_result *row = NULL;
    *state = (struct sweep_state){0};
    pg_params_add_text(session->params, slice_of(table->name));
    if (!sql_query(session, slice_of(state_sql), &row, err)) {
        return false;
    }
    if (pg_rows_count(row) == 1) {
        *state = (struct sweep_state){true, pg_rows_int(row, 0, 0), pg_rows_int(row, 0, 1),
                                      pg_rows_int(row, 0, 2), pg_rows_int(row, 0, 3)};
    }
    pg_rows_free(row);
    return true;
}

/* ---- what leaves --------------------------------------------------------------------------- */

/* "TABLE WHERE …" of the rows that are due, of the table that is $1. */
static void sweep_append_due(struct buffer *sql, const struct view_table *table) {
    buffer_append_format(sql,
                         "\"%s\" WHERE \"%s_at\" < (SELECT horizon FROM aggregator_state.retention "
                         "WHERE root = $1::text)",
                         table->name, table->groups[table->retention->by].name);
}

/* The keys of the oldest rows that are due, as an array's text; the caller frees it. NULL: none, or
 * an error. A row that another transaction has locked is left for later. */
static char *sweep_take_roots(struct sweep *sweep, const struct view_table *table, int64_t *count,
                              struct err *err) {
    struct buffer sql = {0};
    struct pg_result *row = NULL;
    buffer_append_format(&sql,
                         "SELECT count(*), array_agg(d.key)::text FROM (SELECT \"%s\" AS key FROM ",
                         table->key[0].name);
    sweep_append_due(&sql, table);
    buffer_append_format(&sql, " ORDER BY \"%s_at\" LIMIT $2::int8 FOR UPDATE SKIP LOCKED) d",
                         table->groups[table->retention->by].name);
    pg_params_add_text(sweep->session.params, slice_of(table->name));
    pg_params_add_int8(sweep->session.params, (int64_t)sweep->roots);
    *count = 0;
    if (!sql_query_built(&sweep->session, &sql, &row, err)) {
        return NULL;
    }
    *count = pg_rows_int(row, 0, 0);
    char *keys = *count > 0 ? xstrdup(pg_rows_text(row, 0, 1)) : NULL;
    pg_rows_free(row);
    return keys;
}

/* Notes that all has left, unless rows are due that others have locked. */
static bool sweep_note_swept(struct sweep *sweep, const struct view_table *table, struct err *err) {
    struct buffer sql = {0};
    int64_t locked = 0;
    buffer_append_text(&sql, "SELECT EXISTS (SELECT FROM ");
    sweep_append_due(&sql, table);
    buffer_append_text(&sql, ")::int");
    pg_params_add_text(sweep->session.params, slice_of(table->name));
    bool ok = sql_query_int(&sweep->session, sql.data, &locked, err);
    buffer_free(&sql);
    if (!ok || locked) {
        return ok;
    }
    pg_params_add_text(sweep->session.params, slice_of(table->name));
    return sql_query(&sweep->session, slice_of(swept_sql), NULL, err);
}

struct ids {
    struct buffer texts, lists;
};

/* As a rebuild (rebuild/compare_sql.c): each text and UUID, and the numbers of a key. */
static void sweep_append_id(void *context, const struct view_table *table, int group, int column) {
    struct ids *ids = context;
    const struct view_column *of = column >= 0 ? view_sql_column_at(table, group, column) : NULL;
    if (of &&
        (of->type == VIEW_TEXT || of->type == VIEW_UUID || (group < 0 && view_is_tag(of->type)))) {
        buffer_append_format(&ids->texts, ", d.\"%s\"::text", of->name);
    } else if (of && (of->type == VIEW_TEXTS || of->type == VIEW_UUIDS)) {
        buffer_append_format(&ids->lists, " || coalesce(d.\"%s\"::text[], '{}')",
                             view_sql_stored_name(of));
    }
}

/* The first row has the number of deleted rows, each further one an id in them. `of`: NULL for a
 * table that the view does not have. */
static void sweep_append_delete(struct buffer *sql, const char *name, const char *column,
                                const char *type, const struct view_table *of) {
    struct ids ids = {0};
    if (of) {
        view_sql_columns(of, UINT32_MAX, sweep_append_id, &ids);
    }
    buffer_append_format(
        sql,
        "WITH gone AS (DELETE FROM \"%s\" WHERE \"%s\" = ANY ($1::%s[]) RETURNING *) "
        "SELECT count(*), NULL::text FROM gone UNION ALL SELECT DISTINCT 0::int8, u.id FROM gone d "
        "CROSS JOIN LATERAL unnest(ARRAY[NULL::text%s]%s) AS u (id) WHERE u.id IS NOT NULL",
        name, column, type, ids.texts.len ? ids.texts.data : "",
        ids.lists.len ? ids.lists.data : "");
    buffer_free(&ids.texts);
    buffer_free(&ids.lists);
}

static void sweep_add_tag(struct sweep *sweep, struct slice id) {
    sweep->tags = xgrow(sweep->tags, sweep->tag_count, sizeof *sweep->tags);
    sweep->tags[sweep->tag_count++] = hash64(id);
}

static const struct view_table *sweep_find(const struct view *view, const char *name) {
    for (size_t i = 0; i < view->table_count; i++) {
        if (strcmp(view->tables[i].name, name) == 0) {
            return &view->tables[i];
        }
    }
    return NULL;
}

struct removal {
    const struct view_table *root;
    const char *keys;
    int64_t rows[VIEW_MAX_HANGING + 1]; /* of the root, then by `with` */
    int64_t removed;                    /* of the root, in all commits up to this one */
};

static bool sweep_delete(struct sweep *sweep, const struct removal *removal, const char *table,
                         const char *column, int64_t *rows, struct err *err) {
    struct buffer sql = {0};
    struct pg_result *found = NULL;
    sweep_append_delete(&sql, table, column, view_sql_type_of(removal->root, -1, 0),
                        sweep_find(sweep->view, table));
    pg_params_add_text(sweep->session.params, slice_of(removal->keys));
    if (!sql_query_built(&sweep->session, &sql, &found, err)) {
        return err_wrap(err, "deleting what has left from %s", table);
    }
    for (int i = 0; i < pg_rows_count(found); i++) {
        if (pg_rows_is_null(found, i, 1)) {
            *rows += pg_rows_int(found, i, 0);
        } else {
            sweep_add_tag(sweep, pg_rows_cell(found, i, 1));
        }
    }
    pg_rows_free(found);
    return true;
}

static bool sweep_remove(struct sweep *sweep, struct removal *removal, struct err *err) {
    const struct view_retention *retention = removal->root->retention;
    bool ok = sweep_delete(sweep, removal, removal->root->name, removal->root->key[0].name,
                           &removal->rows[0], err);
    for (size_t i = 0; ok && i < retention->with_count; i++) {
        ok = sweep_delete(sweep, removal, retention->with[i].table, retention->with[i].column,
                          &removal->rows[i + 1], err);
    }
    if (ok) {
        pg_params_add_text(sweep->session.params, slice_of(removal->root->name));
        pg_params_add_int8(sweep->session.params, removal->rows[0]);
    }
    return ok && sql_query_int(&sweep->session, removed_sql, &removal->removed, err);
}

/* One row may have very many on it, which leave with it. */
static bool sweep_limit_statements(struct sweep *sweep, struct err *err) {
    if (sweep->roots > 1) {
        sweep->session.timeout_ms = SWEEP_STATEMENT_TIMEOUT_MS;
        return true;
    }
    sweep->session.timeout_ms = SWEEP_ONE_ROW_TIMEOUT_MS;
    return sql_run(&sweep->session, err, "SET LOCAL statement_timeout = %d",
                   SWEEP_ONE_ROW_TIMEOUT_MS);
}

/* ---- a step -------------------------------------------------------------------------------- */

static void sweep_adapt(struct sweep *sweep, int64_t took_us) {
    if (took_us > SLOW_US && sweep->roots > 1) {
        sweep->roots /= 2;
    } else if (took_us < QUICK_US && sweep->roots * 2 <= SWEEP_MAX_ROOTS) {
        sweep->roots *= 2;
    }
}

static void sweep_count(struct sweep *sweep, const struct removal *removal, int64_t *rows) {
    const struct view_retention *retention = removal->root->retention;
    for (size_t i = 0; i <= retention->with_count; i++) {
        const char *table = i == 0 ? removal->root->name : retention->with[i - 1].table;
        *rows += removal->rows[i];
        if (sweep->count) {
            sweep->count(table, removal->rows[i]);
        }
    }
}

/* After a time-out the next transaction takes one row with what hangs on it, and has more time. */
static enum sweep_result sweep_after_failure(struct sweep *sweep, struct err *err) {
    bool too_slow = strcmp(err->sqlstate, "57014") == 0 && pg_connected(sweep->session.pg);
    if (!too_slow || sweep->roots == 1) {
        return SWEEP_FAILED;
    }
    sweep->roots = 1;
    err_clear(err);
    return SWEEP_MORE;
}

enum sweep_result sweep_step(struct sweep *sweep, const struct view_table *table, int64_t *rows,
                             struct err *err) {
    struct removal removal = {.root = table};
    int64_t roots = 0, started_us = clock_monotonic_us();
    enum sweep_result result = sweep_begin(sweep, err);
    *rows = 0;
    if (result != SWEEP_MORE) {
        return result;
    }
    bool ok = sweep_limit_statements(sweep, err);
    char *keys = ok ? sweep_take_roots(sweep, table, &roots, err) : NULL;
    removal.keys = keys;
    ok = err->kind == ERR_NONE;
    if (ok && roots > 0) {
        ok = sweep_remove(sweep, &removal, err);
    } else if (ok) {
        ok = sweep_note_swept(sweep, table, err);
    }
    free(keys);
    FAULT_POINT("before_sweep_commit");
    if (!sweep_end(sweep, ok, err)) {
        sweep->tag_count = 0;
        return sweep_after_failure(sweep, err);
    }
    FAULT_POINT("after_sweep_commit");
    sweep_count(sweep, &removal, rows);
    if (roots > 0) {
        sweep_announce(sweep, table, removal.removed, removal.rows[0]);
    }
    sweep_adapt(sweep, clock_monotonic_us() - started_us);
    return roots > 0 ? SWEEP_MORE : SWEEP_DONE;
}

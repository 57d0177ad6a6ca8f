#include "shadow.h"

#include <stdlib.h>

#include "base/log.h"
#include "schema/citus.h"
#include "schema/program_schema.h"
#include "view/view_sql.h"
#include "base/xalloc.h"

#define LOCK_TIMEOUT_MS 30000
#define FUNCTIONS_TIMEOUT_MS 30000

static const char lock_sql[] = "SELECT pg_try_advisory_xact_lock($1::int8)";
/* Both sides of the comparison have one horizon: it does not move, and no row leaves. */
static const char hold_retention_sql[] =
    "SELECT pg_advisory_xact_lock_shared(" PROGRAM_LOCK_RETENTION ")";

static const char live_sql[] = "SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = "
                               "(SELECT relnamespace FROM pg_class WHERE oid = "
                               "to_regclass('schema_migrations'))";

static bool shadow_ask_lock(struct pg *pg, const char *sql, const struct pg_params *params,
                            struct pg_result **row, struct err *err) {
    return pg_query(pg, "shadow lock", sql, params, LOCK_TIMEOUT_MS, row, err);
}

/* A transaction's lock on a connection of its own: a session's lock would stay on a pooler's
 * connection. This transaction blocks nothing, not even vacuum. */
static bool shadow_take_lock(struct shadow *shadow, struct sql_session *session,
                             const struct shadow_kind *kind, struct err *err) {
    struct pg_result *row = NULL;
    struct pg_params *params = pg_params_create();
    pg_params_add_int8(params, kind->lock);
    shadow->lock = pg_create_like(session->pg);
    bool ok = pg_connect(shadow->lock, err) &&
              shadow_ask_lock(shadow->lock, "BEGIN", NULL, NULL, err) &&
              shadow_ask_lock(shadow->lock, "SET LOCAL idle_in_transaction_session_timeout = 0",
                              NULL, NULL, err) &&
              shadow_ask_lock(shadow->lock, hold_retention_sql, NULL, NULL, err) &&
              shadow_ask_lock(shadow->lock, lock_sql, params, &row, err);
    pg_params_destroy(params);
    if (!ok) {
        return false;
    }
    bool locked = slice_equal(pg_rows_cell(row, 0, 0), slice_of("t"));
    pg_rows_free(row);
    return locked ||
           err_set(err, ERR_UNAVAILABLE, "another %s is running on this database", kind->makers);
}

bool shadow_still_locked(struct shadow *shadow, struct err *err) {
    return shadow_ask_lock(shadow->lock, "SELECT 1", NULL, NULL, err) ||
           err_wrap(err, "the connection with the lock on %s was lost", shadow->schema);
}

static bool shadow_find_live(struct shadow *shadow, struct sql_session *session, struct err *err) {
    struct pg_result *row;
    if (!sql_query(session, slice_of(live_sql), &row, err)) {
        return false;
    }
    if (pg_rows_count(row) == 1) {
        struct buffer path = {0}, qualifier = {0};
        shadow->live = xstrdup(pg_rows_text(row, 0, 0));
        buffer_append_format(&path, "%s, %s", shadow->schema, shadow->live);
        buffer_append_format(&qualifier, "%s.", shadow->schema);
        shadow->search_path = path.data;
        shadow->qualifier = qualifier.data;
    }
    pg_rows_free(row);
    return shadow->live || err_set(err, ERR_INPUT,
                                   "the database has no table schema_migrations: "
                                   "run `aggregator migrate`");
}

static void shadow_append_key(void *context, const struct view_table *table, int group,
                              int column) {
    struct buffer *out = context;
    buffer_append_text(out, column > 0 ? ", " : "");
    view_sql_append_name(out, table, group, column);
}

/* A copy with all indexes. Unlogged: a crash makes the shadow worthless anyway. */
static bool shadow_make_twin(const struct shadow *shadow, struct sql_session *session,
                             const char *schema, const char *table, struct err *err) {
    return sql_run(session, err, "CREATE UNLOGGED TABLE %s.\"%s\" (LIKE %s.\"%s\" INCLUDING ALL)",
                   shadow->schema, table, schema, table);
}

/* The upserts need no index but the key. */
static bool shadow_make_table(const struct shadow *shadow, struct sql_session *session,
                              const struct view_table *table, struct err *err) {
    struct buffer key = {0};
    view_sql_columns(table, 0, shadow_append_key, &key);
    bool ok =
        sql_run(session, err,
                "CREATE UNLOGGED TABLE %s.\"%s\" (LIKE %s.\"%s\" "
                "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED, PRIMARY KEY (%s))",
                shadow->schema, table->name, shadow->live, table->name, key.data);
    buffer_free(&key);
    return ok;
}

/* For pipeline/outside_events.c. */
static bool shadow_make_outside_table(const struct shadow *shadow, struct sql_session *session,
                                      struct err *err) {
    return sql_run(session, err,
                   "CREATE UNLOGGED TABLE %s.outside_events (topic text, partition int4, "
                   "\"offset\" int8, event_id uuid, at timestamptz, handler text NOT NULL, "
                   "rests_on text NOT NULL, PRIMARY KEY (topic, partition, \"offset\"))",
                   shadow->schema) &&
           sql_run(session, err, "CREATE INDEX ON %s.outside_events (event_id, at)",
                   shadow->schema);
}

/* The program's tables, and its functions, which name them. */
static bool shadow_make_program_tables(const struct shadow *shadow, struct sql_session *session,
                                       bool publishes, struct err *err) {
    static const char *const tables[] = {"consumer_offsets", "offset_scripts", "rejected_events",
                                         "retention",        "reaction_marks", "outbox"};
    struct buffer functions = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < (publishes ? 6 : 4); i++) {
        ok = shadow_make_twin(shadow, session, PROGRAM_SCHEMA, tables[i], err);
    }
    ok = ok && sql_run(session, err,
                       "INSERT INTO %s.retention SELECT * FROM " PROGRAM_SCHEMA ".retention",
                       shadow->schema);
    buffer_append_replaced(&functions, program_schema_functions, PROGRAM_SCHEMA_QUALIFIER,
                           shadow->qualifier);
    ok = ok && pg_script(session->pg, functions.data, FUNCTIONS_TIMEOUT_MS, err);
    buffer_free(&functions);
    return ok;
}

static bool shadow_drop(const struct shadow *shadow, struct sql_session *session, struct err *err) {
    return sql_run(session, err, "DROP SCHEMA IF EXISTS %s CASCADE", shadow->schema);
}

bool shadow_create(struct shadow *shadow, struct sql_session *session,
                   const struct shadow_kind *kind, const struct view *view, struct err *err) {
    *shadow = (struct shadow){.schema = kind->schema};
    if (!citus_allows(session->pg, CITUS_LACKS_SHADOW, err)) {
        return false;
    }
    bool ok = shadow_take_lock(shadow, session, kind, err) &&
              shadow_find_live(shadow, session, err) && shadow_drop(shadow, session, err) &&
              sql_run(session, err, "CREATE SCHEMA %s", kind->schema);
    ok = ok && shadow_make_program_tables(shadow, session, kind->publishes, err) &&
         shadow_make_outside_table(shadow, session, err);
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = kind->publishes
                 ? shadow_make_twin(shadow, session, shadow->live, view->tables[i].name, err)
                 : shadow_make_table(shadow, session, &view->tables[i], err);
    }
    if (!ok) {
        program_schema_advise_right(err, kind->publishes ? REMEDY_CREATE : REMEDY_OWNER);
    }
    return ok || err_wrap(err, "making the schema %s", kind->schema);
}

void shadow_close(struct shadow *shadow, struct sql_session *session, bool keep) {
    struct err err = {0};
    if (shadow->search_path && !keep && pg_connected(session->pg) &&
        !shadow_drop(shadow, session, &err)) {
        log_warning("cannot drop the shadow schema: the next run drops it",
                    LOG_TEXT("schema", shadow->schema), LOG_TEXT("error", err.text));
    }
    pg_destroy(shadow->lock);
    free(shadow->live);
    free(shadow->search_path);
    free(shadow->qualifier);
    *shadow = (struct shadow){0};
}

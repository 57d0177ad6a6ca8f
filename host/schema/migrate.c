#include "migrate.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/pg.h"
#include "bindings/pg_named.h"
#include "bindings/pg_rows.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "citus.h"
#include "migration_files.h"
#include "program_schema.h"

/* An arbitrary number. The lock is of the transaction: a session's would stay on a pooler's
 * connection. */
#define LOCK_SQL "SELECT pg_advisory_xact_lock(7236014)"
/* Computed by the server from the text that it received. */
#define CHECKSUM "encode(sha256(convert_to($2::text, 'UTF8')), 'hex')"
/* A numbered file may replace an earlier text: it names its checksum. */
#define REPLACES "strpos($2::text, E'\\n-- replaces ' || checksum || E'\\n') > 0"
#define INVALID_BYTES "22021"
/* A migration may rewrite a table. */
#define MIGRATION_TIMEOUT_MS (30 * 60 * 1000)

/* ---- the tables of applied migrations -------------------------------------------------------- */

#define PROGRAM_VERSIONS PROGRAM_SCHEMA ".schema_migrations"
#define SERVICE_VERSIONS "schema_migrations"
#define UNNUMBERED_FILES PROGRAM_SCHEMA ".unnumbered_files"
#define VERSION_COLUMNS                                                                            \
    " (version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "                      \
    "applied_at timestamptz NOT NULL DEFAULT now())"
/* The statements of the lines `-- undo: ` of the text $2, the last one first; NULL: none. */
#define UNDO                                                                                       \
    "(SELECT string_agg(substr(line, 10), E'\\n' ORDER BY at DESC) FROM "                          \
    "regexp_split_to_table($2::text, E'\\n') WITH ORDINALITY AS lines (line, at) "                 \
    "WHERE line LIKE '-- undo: %')"

/* One transaction creates schema and tables. The service's table comes first, because the program's
 * first file reads it. CREATE SCHEMA IF NOT EXISTS needs the right even if the schema exists. The
 * last statement makes the files of missing tables count as not applied. */
static const char *const migrate_tables_sql[] = {
    "DO $$ BEGIN IF to_regnamespace('" PROGRAM_SCHEMA "') IS NULL THEN "
    "CREATE SCHEMA " PROGRAM_SCHEMA "; END IF; END $$",
    "CREATE TABLE IF NOT EXISTS " PROGRAM_VERSIONS VERSION_COLUMNS,
    "CREATE TABLE IF NOT EXISTS " UNNUMBERED_FILES " (name text PRIMARY KEY, "
    "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE IF NOT EXISTS " SERVICE_VERSIONS VERSION_COLUMNS,
    "ALTER TABLE " PROGRAM_VERSIONS " ADD COLUMN IF NOT EXISTS undo text",
    "ALTER TABLE " SERVICE_VERSIONS " ADD COLUMN IF NOT EXISTS undo text",
    "DELETE FROM " PROGRAM_VERSIONS
    " WHERE version >= (SELECT min(file) FROM " PROGRAM_SCHEMA_MISSING ")",
};

static const char migrate_missing_sql[] =
    "SELECT string_agg('" PROGRAM_SCHEMA_QUALIFIER "' || name, ', ') FROM " PROGRAM_SCHEMA_MISSING;
static const char migrate_schema_sql[] = "SELECT (current_schema() IS NULL)::int";
static const char migrate_role_sql[] = "SELECT (current_user = '" PROGRAM_SCHEMA "')::int";

struct migrate_statements {
    const char *has_table, *newest, *is_applied, *record;
};

/* $1: the name; $2: the text. */
#define NUMBERED_STATEMENTS(table)                                                                 \
    {                                                                                              \
        .has_table = "SELECT (to_regclass('" table "') IS NOT NULL)::int",                         \
        .newest = "SELECT coalesce(max(version), -1) FROM " table,                                 \
        .is_applied = "SELECT checksum = " CHECKSUM " OR " REPLACES " FROM " table                 \
                      " WHERE version = left($1::text, 4)::int",                                   \
        .record = "INSERT INTO " table " (version, checksum, name, undo) "                         \
                  "VALUES (left($1::text, 4)::int, " CHECKSUM ", $1::text, " UNDO ")",             \
    }

static const struct migrate_statements numbered[MIGRATION_OWNERS] = {
    [MIGRATION_OF_PROGRAM] = NUMBERED_STATEMENTS(PROGRAM_VERSIONS),
    [MIGRATION_OF_SERVICE] = NUMBERED_STATEMENTS(SERVICE_VERSIONS),
};

static const struct migrate_statements unnumbered = {
    .is_applied = "SELECT checksum = " CHECKSUM " FROM " UNNUMBERED_FILES " WHERE name = $1::text",
    .record = "INSERT INTO " UNNUMBERED_FILES " (name, checksum) VALUES ($1::text, " CHECKSUM ") "
              "ON CONFLICT (name) DO UPDATE SET checksum = EXCLUDED.checksum, "
              "applied_at = EXCLUDED.applied_at",
};

static const struct migrate_statements *migrate_statements(const struct migration *migration) {
    return migration->version == MIGRATION_UNNUMBERED ? &unnumbered : &numbered[migration->owner];
}

static bool migrate_ask_int(struct pg *pg, const char *name, const char *sql, int *out,
                            struct err *err) {
    struct pg_result *row;
    if (!pg_query(pg, name, sql, NULL, MIGRATION_TIMEOUT_MS, &row, err)) {
        return false;
    }
    *out = (int)strtol(pg_rows_text(row, 0, 0), NULL, 10);
    pg_rows_free(row);
    return true;
}

static bool migrate_query(struct pg *pg, const char *name, const char *sql,
                          const struct migration *migration, struct pg_result **rows,
                          struct err *err) {
    struct pg_params *params = pg_params_create();
    pg_params_add_text(params, buffer_slice(&migration->name));
    pg_params_add_text(params, buffer_slice(&migration->sql));
    bool ok = pg_query(pg, name, sql, params, MIGRATION_TIMEOUT_MS, rows, err);
    pg_params_destroy(params);
    return ok;
}

/* Such a role's "$user" in search_path is the program's schema: the service's tables would be
 * created there. */
static bool migrate_check_role(struct pg *pg, struct err *err) {
    int is_refused;
    return migrate_ask_int(pg, "migration_role", migrate_role_sql, &is_refused, err) &&
           (!is_refused || err_set(err, ERR_INPUT,
                                   "the role %s has the name of the program's schema, so its "
                                   "search_path would mix the service's tables with the "
                                   "program's: use a role with another name",
                                   PROGRAM_SCHEMA));
}

/* ERR_INPUT: the folder and the table disagree. `newest`: the newest version of each owner. */
static bool migrate_check(struct pg *pg, const struct migration *migration, const int *newest,
                          bool *is_applied, struct err *err) {
    struct pg_result *rows;
    bool is_numbered = migration->version != MIGRATION_UNNUMBERED, ok = true;
    if (!migrate_query(pg, "migration_applied", migrate_statements(migration)->is_applied,
                       migration, &rows, err)) {
        return strcmp(err->sqlstate, INVALID_BYTES) == 0 &&
               err_set(err, ERR_INPUT, "%s is not UTF-8: save it as UTF-8", migration->name.data);
    }
    bool is_known = pg_rows_count(rows) == 1;
    bool is_same = is_known && strcmp(pg_rows_text(rows, 0, 0), "t") == 0;
    pg_rows_free(rows);
    *is_applied = is_numbered ? is_known : is_same;
    if (is_numbered && is_known && !is_same) {
        ok = err_set(err, ERR_INPUT,
                     "%s: has changed since it was applied: restore the old text and add a new "
                     "migration",
                     migration->name.data);
    } else if (is_numbered && !is_known && migration->version < newest[migration->owner]) {
        ok = err_set(err, ERR_INPUT, "%s: is older than the newest applied, %04d: renumber it",
                     migration->name.data, newest[migration->owner]);
    }
    return ok;
}

/* -1: none. has_table NULL: all tables exist. */
static bool migrate_read_newest(struct pg *pg, const int *has_table, int *newest, struct err *err) {
    bool ok = true;
    for (int i = 0; ok && i < MIGRATION_OWNERS; i++) {
        newest[i] = -1;
        ok = (has_table && !has_table[i]) ||
             migrate_ask_int(pg, "migration_newest", numbered[i].newest, &newest[i], err);
    }
    return ok;
}

/* ---- applying ------------------------------------------------------------------------------- */

static bool migrate_run_plain(struct pg *pg, const char *sql, struct err *err) {
    return pg_query(pg, "migration", sql, NULL, MIGRATION_TIMEOUT_MS, NULL, err);
}

/* Postgres looks for tables in pg_temp first, unless the path has it: by a temporary table a role
 * could lead functions of the owner (SECURITY DEFINER SET search_path FROM CURRENT) to triggers of
 * its own. A file may set another path for its statements: migrate returns to its own. */
#define PATH_SETTING "'aggregator.search_path'"
static const char migrate_path_sql[] =
    "SELECT set_config(" PATH_SETTING ", set_config('search_path', "
    "concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp'), true), true)";
static const char migrate_return_sql[] =
    "SELECT set_config('search_path', current_setting(" PATH_SETTING "), true)";

static bool migrate_begin_locked(struct pg *pg, struct err *err) {
    return migrate_run_plain(pg, "BEGIN", err) && migrate_run_plain(pg, migrate_path_sql, err) &&
           pg_query(pg, "migration_lock", LOCK_SQL, NULL, MIGRATION_TIMEOUT_MS, NULL, err);
}

/* Applied as it is, the draft's statements could not be written later. */
static bool migrate_check_statements(const struct migration *migration, struct err *err) {
    return migration->version == MIGRATION_UNNUMBERED || pg_has_statement(migration->sql.data) ||
           err_set(err, ERR_INPUT, "%s: has no statement: write one, or delete the file",
                   migration->name.data);
}

/* The text runs inside of migrate's transaction. A COMMIT would keep half of a file that fails; a
 * ROLLBACK would undo a file that is then recorded as applied. */
static bool migrate_check_transaction(const char *sql, struct err *err) {
    const char *end = pg_find_transaction_end(sql);
    int line = 1;
    for (const char *at = sql; end && at < end; at++) {
        line += *at == '\n';
    }
    return !end || err_set(err, ERR_INPUT,
                           "line %d: %.*s ends the transaction in which a file is applied whole or "
                           "not at all: remove it, and its BEGIN",
                           line, (int)strcspn(end, " \t\r\n\f\v;-/"), end);
}

static bool migrate_script(struct pg *pg, const char *sql, struct err *err) {
    return migrate_check_transaction(sql, err) && pg_script(pg, sql, MIGRATION_TIMEOUT_MS, err) &&
           migrate_run_plain(pg, migrate_return_sql, err);
}

static bool migrate_apply(struct pg *pg, const struct migration *migration, struct err *err) {
    if (!migrate_check_statements(migration, err)) {
        return false;
    }
    if (!migrate_script(pg, migration->sql.data, err) ||
        !migrate_query(pg, "migration_record", migrate_statements(migration)->record, migration,
                       NULL, err)) {
        if (strncmp(err->sqlstate, "42", 2) == 0) {
            err->kind = ERR_INPUT; /* the file is wrong: a retry does not help */
        }
        /* the caller disconnects, which rolls it back */
        return err_wrap(err, "%s", migration->name.data);
    }
    return true;
}

static const char migrate_newest_sql[] =
    "SELECT name, undo FROM " SERVICE_VERSIONS " ORDER BY version DESC LIMIT 1";

static bool migrate_ask_newest(struct pg *pg, struct pg_result **row, struct err *err) {
    return pg_query(pg, "migration_undo", migrate_newest_sql, NULL, MIGRATION_TIMEOUT_MS, row, err);
}

/* After migrate_check refused the file: names --redo where that can take the draft back. */
static void migrate_advise_redo(struct pg *pg, const struct migration *migration, struct err *err) {
    struct pg_result *row = NULL;
    struct err unasked = {0};
    int version;
    if (err->kind == ERR_INPUT && migration->owner == MIGRATION_OF_SERVICE &&
        migrate_ask_newest(pg, &row, &unasked) && pg_rows_count(row) == 1 &&
        !pg_rows_is_null(row, 0, 1) && migration_files_version(pg_rows_text(row, 0, 0), &version) &&
        version == migration->version) {
        err_set(err, ERR_INPUT,
                "%s: has changed since it was applied: `aggregator migrate --redo` takes it back "
                "by its lines `-- undo:`, loses the rows of its tables, and applies it again; or "
                "restore the old text and add a new migration",
                migration->name.data);
    }
    pg_rows_free(row);
}

/* What a file has SET must not reach the next one: that has a session of its own. */
static bool migrate_renew_session(struct pg *pg, struct err *err) {
    pg_disconnect(pg);
    return pg_connect(pg, err);
}

/* Checks under the lock: another instance may have applied it meanwhile. */
static bool migrate_apply_if_missing(struct pg *pg, const struct migration *migration,
                                     const int *newest_before, int *applied, struct err *err) {
    bool is_applied = false;
    bool ok = migrate_begin_locked(pg, err);
    if (ok && !migrate_check(pg, migration, newest_before, &is_applied, err)) {
        migrate_advise_redo(pg, migration, err);
        ok = false;
    }
    ok = ok && (is_applied || migrate_apply(pg, migration, err)) &&
         migrate_run_plain(pg, "COMMIT", err);
    if (ok && !is_applied) {
        log_info("migration applied", LOG_TEXT("migration", migration->name.data));
        *applied += 1;
        ok = migration->owner != MIGRATION_OF_SERVICE || migrate_renew_session(pg, err);
    }
    return ok;
}

static bool migrate_make_tables(struct pg *pg, struct err *err) {
    bool ok = migrate_begin_locked(pg, err);
    for (size_t i = 0; ok && i < sizeof migrate_tables_sql / sizeof *migrate_tables_sql; i++) {
        ok = migrate_run_plain(pg, migrate_tables_sql[i], err);
    }
    return ok && migrate_run_plain(pg, "COMMIT", err);
}

static bool migrate_apply_missing(struct pg *pg, const struct migrations *migrations, int *applied,
                                  struct err *err) {
    int newest[MIGRATION_OWNERS];
    bool ok = migrate_check_role(pg, err) && migrate_make_tables(pg, err) &&
              migrate_read_newest(pg, NULL, newest, err);
    for (size_t i = 0; ok && i < migrations->count; i++) {
        ok = migrate_apply_if_missing(pg, &migrations->items[i], newest, applied, err);
    }
    return ok;
}

static struct pg *migrate_create_session(const struct config *config) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator migrate",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .writes = true,
        .statement_timeout_ms = 0, /* another instance may hold the lock for a whole migration */
    };
    return pg_create(&options);
}

/* DDL goes through the coordinator of Citus. */
static bool migrate_refuse_worker(enum citus_node node, struct err *err) {
    return node != CITUS_WORKER ||
           err_set(err, ERR_INPUT,
                   "this server is a worker of Citus: run `aggregator migrate` with "
                   "AGGREGATOR_POSTGRES_URL of the coordinator (the docs, operate/citus.md)");
}

/* Behind no other schema pg_temp would be the first: the tables would end with the session. */
static bool migrate_check_schema(struct pg *pg, struct err *err) {
    int has_none;
    return migrate_ask_int(pg, "migration_schema", migrate_schema_sql, &has_none, err) &&
           (!has_none ||
            err_set(err, ERR_INPUT,
                    "no schema of search_path exists that the role may use (USAGE): the service's "
                    "tables belong into the first one: create it, or set another search_path"));
}

static bool migrate_open(const struct config *config, struct pg *pg, struct migrations *migrations,
                         struct err *err) {
    enum citus_node node;
    return pg_connect(pg, err) && migrate_check_schema(pg, err) && citus_find(pg, &node, err) &&
           migrate_refuse_worker(node, err) &&
           migration_files_read(config, node != CITUS_NONE, migrations, err);
}

bool migrate_run(const struct config *config, int *applied, bool *on_citus, struct err *err) {
    struct migrations migrations = {0};
    *applied = 0;
    struct pg *pg = migrate_create_session(config);
    bool ok = migrate_open(config, pg, &migrations, err) &&
              migrate_apply_missing(pg, &migrations, applied, err);
    if (!ok) {
        program_schema_advise_right(err, REMEDY_OWNER);
    }
    *on_citus = migrations.on_citus;
    pg_destroy(pg);
    migration_files_free(&migrations);
    return ok;
}

bool migrate_distribute(const struct config *config, const struct citus_table *tables, size_t count,
                        int *done, struct err *err) {
    struct pg *pg = migrate_create_session(config);
    bool ok = pg_connect(pg, err) && migrate_begin_locked(pg, err) &&
              citus_distribute(pg, tables, count, done, err) &&
              migrate_run_plain(pg, "COMMIT", err);
    pg_destroy(pg); /* rolls back */
    return ok;
}

/* ---- redoing -------------------------------------------------------------------------------- */

static const char migrate_forget_sql[] =
    "DELETE FROM " SERVICE_VERSIONS " WHERE version = (SELECT max(version) FROM " SERVICE_VERSIONS
    ")";

/* The newest version among the service's files; -1: none. */
static int migrate_newest_file(const struct migrations *migrations) {
    int newest = -1;
    for (size_t i = 0; i < migrations->count; i++) {
        const struct migration *migration = &migrations->items[i];
        if (migration->owner == MIGRATION_OF_SERVICE && migration->version > newest) {
            newest = migration->version;
        }
    }
    return newest;
}

bool migrate_newest(const struct config *config, char **name, struct err *err) {
    struct migrations migrations = {0};
    struct pg_result *row = NULL;
    struct pg *pg = migrate_create_session(config);
    *name = NULL;
    bool ok = migrate_open(config, pg, &migrations, err) && migrate_make_tables(pg, err) &&
              migrate_ask_newest(pg, &row, err);
    int version;
    if (ok && pg_rows_count(row) == 1 &&
        migration_files_version(pg_rows_text(row, 0, 0), &version) &&
        version >= migrate_newest_file(&migrations)) {
        *name = xstrdup(pg_rows_text(row, 0, 0));
    }
    pg_rows_free(row);
    pg_destroy(pg);
    migration_files_free(&migrations);
    return ok;
}

/* Under the lock. `wanted`: another process may have applied a newer one meanwhile. */
static bool migrate_undo(struct pg *pg, const char *wanted, struct err *err) {
    struct pg_result *row;
    if (!migrate_ask_newest(pg, &row, err)) {
        return false;
    }
    bool ok = true;
    if (pg_rows_count(row) == 0 || strcmp(pg_rows_text(row, 0, 0), wanted) != 0) {
        ok = err_set(err, ERR_INPUT, "%s is no longer the newest applied migration", wanted);
    } else if (pg_rows_is_null(row, 0, 1)) {
        ok = err_set(err, ERR_INPUT,
                     "%s had no line `-- undo: STATEMENT` when it was applied: restore its text, "
                     "and write a new migration",
                     wanted);
    } else {
        ok = (migrate_script(pg, pg_rows_text(row, 0, 1), err) ||
              err_wrap(err, "%s: undo", wanted)) &&
             migrate_run_plain(pg, migrate_forget_sql, err);
    }
    pg_rows_free(row);
    return ok;
}

/* The other files must be as they were applied: a mistake in one is said before rows are lost. */
static bool migrate_apply_again(struct pg *pg, const struct migrations *migrations,
                                const char *name, struct err *err) {
    int newest[MIGRATION_OWNERS], version;
    bool ok = migrate_read_newest(pg, NULL, newest, err) && migration_files_version(name, &version);
    for (size_t i = 0; ok && i < migrations->count; i++) {
        const struct migration *migration = &migrations->items[i];
        bool is_applied;
        if (migration->owner == MIGRATION_OF_SERVICE && migration->version == version) {
            ok = migrate_apply(pg, migration, err);
        } else if (migration->version != MIGRATION_UNNUMBERED) {
            ok = migrate_check(pg, migration, newest, &is_applied, err);
        }
    }
    return ok;
}

bool migrate_redo(const struct config *config, const char *name, struct err *err) {
    struct migrations migrations = {0};
    struct pg *pg = migrate_create_session(config);
    bool ok = migrate_open(config, pg, &migrations, err) && migrate_check_role(pg, err) &&
              migrate_begin_locked(pg, err) && migrate_undo(pg, name, err) &&
              migrate_apply_again(pg, &migrations, name, err) &&
              migrate_run_plain(pg, "COMMIT", err);
    pg_destroy(pg); /* rolls back */
    migration_files_free(&migrations);
    return ok;
}

/* ---- looking -------------------------------------------------------------------------------- */

bool migrate_next_number(const struct config *config, int *number, struct err *err) {
    struct migrations migrations = {0};
    bool ok = migration_files_read_numbered(config, &migrations, err);
    *number = 1 + (ok && migrations.count > 0 ? migrations.items[migrations.count - 1].version : 0);
    migration_files_free(&migrations);
    return ok &&
           (*number < 10000 || err_set(err, ERR_INPUT, "%s/migrations: the number 9999 is taken",
                                       config->scripts.sql));
}

static bool migrate_look(struct pg *pg, const struct migrations *migrations, int *pending,
                         struct err *err) {
    int has_table[MIGRATION_OWNERS] = {0}, newest[MIGRATION_OWNERS];
    bool ok = true;
    for (int i = 0; ok && i < MIGRATION_OWNERS; i++) {
        ok = migrate_ask_int(pg, "migration_table", numbered[i].has_table, &has_table[i], err);
    }
    ok = ok && migrate_read_newest(pg, has_table, newest, err);
    for (size_t i = 0; ok && i < migrations->count; i++) {
        const struct migration *migration = &migrations->items[i];
        bool is_noted = has_table[migration->version == MIGRATION_UNNUMBERED ? MIGRATION_OF_PROGRAM
                                                                             : migration->owner];
        bool is_applied = false;
        ok = !is_noted || migrate_check(pg, migration, newest, &is_applied, err);
        *pending += ok && !is_applied;
    }
    return ok;
}

bool migrate_pending(struct pg *pg, const struct config *config, int *pending, struct err *err) {
    struct migrations migrations = {0};
    *pending = 0;
    enum citus_node node;
    bool ok = citus_find(pg, &node, err) &&
              migration_files_read(config, node != CITUS_NONE, &migrations, err) &&
              migrate_look(pg, &migrations, pending, err);
    migration_files_free(&migrations);
    return ok;
}

bool migrate_check_tables(struct pg *pg, struct err *err) {
    struct pg_result *row;
    if (!pg_query(pg, "program_tables", migrate_missing_sql, NULL, MIGRATION_TIMEOUT_MS, &row,
                  err)) {
        return false;
    }
    const char *missing = pg_rows_text(row, 0, 0);
    bool ok =
        !*missing ||
        err_set(err, ERR_INPUT, "missing in the database: %s: run `aggregator migrate`", missing);
    pg_rows_free(row);
    return ok;
}

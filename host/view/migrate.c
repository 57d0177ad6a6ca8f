/* migrate: the checksum is taken by the server, of the text as it was sent. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "../../bindings/pg.h"
#include "../base/buffer.h"
#include "../base/log.h"
#include "../base/regular_file.h"
#include "migrate.h"
#include "../base/xalloc.h"

/* Any number all instances agree on. Each migration's transaction takes it: a lock of the session
 * would stay with a pooler's connection. */
#define LOCK_SQL "SELECT pg_advisory_xact_lock(7236014)"
#define CHECKSUM "encode(sha256(convert_to($2::text, 'UTF8')), 'hex')"
#define FILE_MAX_BYTES (16UL * 1024 * 1024)
/* A migration may rewrite a table. */
#define MIGRATION_TIMEOUT_MS (30 * 60 * 1000)

struct migration {
    int version;
    char *name; /* the file's */
    struct buffer sql;
};

struct migrations {
    struct migration *items;
    size_t count;
};

/* ---- files -------------------------------------------------------------------------------- */

static void free_migrations(struct migrations *migrations) {
    for (size_t i = 0; i < migrations->count; i++) {
        free(migrations->items[i].name);
        buffer_free(&migrations->items[i].sql);
    }
    free(migrations->items);
}

static bool read_file(const char *folder, struct migration *migration, struct err *err) {
    struct buffer path = {0};
    buffer_append_format(&path, "%s/%s", folder, migration->name);
    bool ok = regular_file_read(AT_FDCWD, path.data, migration->name, FILE_MAX_BYTES,
                                &migration->sql, err);
    buffer_free(&path);
    return ok;
}

static int is_sql(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static bool parse_version(const char *name, int *version) {
    *version = 0;
    for (int i = 0; i < 4; i++) {
        if (!isdigit((unsigned char)name[i])) {
            return false;
        }
        *version = *version * 10 + (name[i] - '0');
    }
    return name[4] == '_';
}

static bool read_entry(const char *folder, const char *name, struct migrations *migrations,
                       struct err *err) {
    struct migration *migration = &migrations->items[migrations->count++];
    migration->name = xstrdup(name);
    if (!parse_version(name, &migration->version)) {
        return err_set(err, ERR_INPUT, "%s: must be named NNNN_name.sql", name);
    }
    if (migrations->count > 1 && migration->version == migration[-1].version) {
        return err_set(err, ERR_INPUT, "%s and %s have one number", migration[-1].name, name);
    }
    return read_file(folder, migration, err);
}

static bool read_folder(const struct config *config, struct migrations *migrations,
                        struct err *err) {
    struct buffer folder = {0};
    struct dirent **entries;
    buffer_append_format(&folder, "%s/migrations", config->scripts.sql);
    int count = scandir(folder.data, &entries, is_sql, alphasort);
    if (count < 0) {
        err_set(err, ERR_INPUT, "%s: %s", folder.data, strerror(errno));
        buffer_free(&folder);
        return false;
    }
    migrations->items = xcalloc((size_t)count + 1, sizeof *migrations->items);
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = ok && read_entry(folder.data, entries[i]->d_name, migrations, err);
        free(entries[i]);
    }
    free(entries);
    buffer_free(&folder);
    return ok;
}

/* ---- the table ---------------------------------------------------------------------------- */

static bool ask_int(struct pg *pg, const char *name, const char *sql, int *out, struct err *err) {
    PGresult *row;
    if (!pg_query(pg, name, sql, NULL, MIGRATION_TIMEOUT_MS, &row, err)) {
        return false;
    }
    *out = (int)strtol(PQgetvalue(row, 0, 0), NULL, 10);
    PQclear(row);
    return true;
}

/* Whether a file is applied; ERR_INPUT where the folder and the table disagree. */
static bool check_applied(struct pg *pg, const struct migration *migration, int newest,
                          bool *is_applied, struct err *err) {
    struct pg_params *params = pg_params_create();
    pg_params_add_int8(params, migration->version);
    pg_params_add_text(params, buffer_slice(&migration->sql));
    PGresult *rows;
    bool ok =
        pg_query(pg, "migration_applied",
                 "SELECT checksum = " CHECKSUM " FROM schema_migrations WHERE version = $1::int8",
                 params, MIGRATION_TIMEOUT_MS, &rows, err);
    pg_params_destroy(params);
    if (!ok) {
        return false;
    }
    *is_applied = PQntuples(rows) == 1;
    if (*is_applied && strcmp(PQgetvalue(rows, 0, 0), "t") != 0) {
        ok = err_set(err, ERR_INPUT,
                     "%s: has changed since it was applied: put its old text back, and write "
                     "the change as a new migration",
                     migration->name);
    } else if (!*is_applied && migration->version < newest) {
        ok = err_set(err, ERR_INPUT, "%s: is older than the newest applied, %04d", migration->name,
                     newest);
    }
    PQclear(rows);
    return ok;
}

static bool record(struct pg *pg, const struct migration *migration, struct err *err) {
    struct pg_params *params = pg_params_create();
    pg_params_add_int8(params, migration->version);
    pg_params_add_text(params, buffer_slice(&migration->sql));
    pg_params_add_text(params, slice_of(migration->name));
    bool ok = pg_query(pg, "migration_record",
                       "INSERT INTO schema_migrations (version, checksum, name) "
                       "VALUES ($1::int8, " CHECKSUM ", $3::text)",
                       params, MIGRATION_TIMEOUT_MS, NULL, err);
    pg_params_destroy(params);
    return ok;
}

static bool run_plain(struct pg *pg, const char *sql, struct err *err) {
    return pg_query(pg, "migration", sql, NULL, MIGRATION_TIMEOUT_MS, NULL, err);
}

static bool begin_locked(struct pg *pg, struct err *err) {
    return run_plain(pg, "BEGIN", err) &&
           pg_query(pg, "migration_lock", LOCK_SQL, NULL, MIGRATION_TIMEOUT_MS, NULL, err);
}

static bool apply(struct pg *pg, const struct migration *migration, struct err *err) {
    if (!pg_script(pg, migration->sql.data, MIGRATION_TIMEOUT_MS, err) ||
        !record(pg, migration, err)) {
        if (strncmp(err->sqlstate, "42", 2) == 0) {
            err->kind = ERR_INPUT; /* the file is at fault: waiting would not mend it */
        }
        return err_wrap(err, "%s", migration->name); /* the caller's disconnect rolls it back */
    }
    return true;
}

/* Under the lock: another instance may have applied it, and newer ones, since the last look. */
static bool apply_if_missing(struct pg *pg, const struct migration *migration, int newest_before,
                             int *applied, struct err *err) {
    bool is_applied = false;
    bool ok = begin_locked(pg, err) &&
              check_applied(pg, migration, newest_before, &is_applied, err) &&
              (is_applied || apply(pg, migration, err)) && run_plain(pg, "COMMIT", err);
    if (ok && !is_applied) {
        log_info("migration applied", LOG_TEXT("migration", migration->name));
        *applied += 1;
    }
    return ok;
}

static bool apply_missing(struct pg *pg, const struct migrations *migrations, int *applied,
                          struct err *err) {
    int newest;
    bool ok = begin_locked(pg, err) &&
              run_plain(pg,
                        "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, "
                        "name text NOT NULL, checksum text NOT NULL, "
                        "applied_at timestamptz NOT NULL DEFAULT now())",
                        err) &&
              ask_int(pg, "migration_newest",
                      "SELECT coalesce(max(version), -1) FROM schema_migrations", &newest, err) &&
              run_plain(pg, "COMMIT", err);
    for (size_t i = 0; ok && i < migrations->count; i++) {
        ok = apply_if_missing(pg, &migrations->items[i], newest, applied, err);
    }
    return ok;
}

bool migrate_run(const struct config *config, int *applied, struct err *err) {
    struct migrations migrations = {0};
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator migrate",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .writes = true,
        .statement_timeout_ms = 0, /* the lock may be held for as long as a migration takes */
    };
    *applied = 0;
    struct pg *pg = pg_create(&options);
    bool ok = read_folder(config, &migrations, err) && pg_connect(pg, err) &&
              apply_missing(pg, &migrations, applied, err);
    pg_destroy(pg);
    free_migrations(&migrations);
    return ok;
}

bool migrate_pending(struct pg *pg, const struct config *config, int *pending, struct err *err) {
    struct migrations migrations = {0};
    int has_table = 0, newest = -1;
    bool ok =
        read_folder(config, &migrations, err) &&
        ask_int(pg, "migration_table", "SELECT (to_regclass('schema_migrations') IS NOT NULL)::int",
                &has_table, err);
    if (ok && has_table) {
        ok = ask_int(pg, "migration_newest",
                     "SELECT coalesce(max(version), -1) FROM schema_migrations", &newest, err);
    }
    *pending = 0;
    for (size_t i = 0; ok && i < migrations.count; i++) {
        bool is_applied = false;
        ok = !has_table || check_applied(pg, &migrations.items[i], newest, &is_applied, err);
        *pending += ok && !is_applied;
    }
    free_migrations(&migrations);
    return ok;
}

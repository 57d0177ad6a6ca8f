/* new_migration: `aggregator new migration`. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "new.h"
#include "schema/migrate.h"
#include "scaffold/scaffold.h"
#include "script/script.h"
#include "view/sql_session.h"
#include "view/view_check.h"
#include "view/view_draft.h"

static const char new_migration_head[] =
    "-- What scripts/view.lua declares and the database lacks. Add the indexes of your queries.\n"
    "--\n"
    "-- A draft: after a change of this file, `aggregator migrate --redo` runs the lines `-- "
    "undo:` "
    "that\n"
    "-- were applied, and the file again. Remove these lines before others apply it.\n";

/* Puts the sentence after the error's text. */
static void new_migration_add(struct err *err, const char *sentence) {
    size_t len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, "%s", sentence);
}

static bool new_migration_open(const struct config *config, struct sql_session *session,
                               struct err *err) {
    bool ok = sql_session_open(session, config, "aggregator new",
                               config->postgres.statement_timeout_ms, err);
    if (!ok && err->kind == ERR_UNAVAILABLE) {
        new_migration_add(
            err, "\nA draft is what scripts/view.lua has and a migrated database lacks. The "
                 "setting postgres.url names the database; in a terminal beside "
                 "`tools/run`: . .run/env");
    }
    return ok;
}

static bool new_migration_check_types(const struct config *config, struct pg *pg,
                                      const struct view *view, struct err *err) {
    bool ok = view_check_types(pg, view, config->postgres.statement_timeout_ms, err);
    if (!ok && err->kind == ERR_INPUT) {
        new_migration_add(err, "\nA new enum has a migration of its own, which is applied first: "
                               "CREATE TYPE mood AS ENUM ('glad', 'sad');");
    }
    return ok;
}

/* Of a database that lacks migrations the draft would repeat them. */
static bool new_migration_draft(const struct config *config, const struct view *view,
                                struct buffer *sql, struct err *err) {
    struct sql_session session;
    int timeout_ms = config->postgres.statement_timeout_ms, pending = 0;
    bool ok = new_migration_open(config, &session, err) &&
              migrate_pending(session.pg, config, &pending, err);
    if (ok && pending > 0) {
        ok = err_set(err, ERR_INPUT, "%d migration%s not applied: run `aggregator migrate` first",
                     pending, pending == 1 ? " is" : "s are");
    }
    ok = ok && new_migration_check_types(config, session.pg, view, err) &&
         view_draft_append(session.pg, view, timeout_ms, sql, err);
    sql_session_close(&session);
    if (ok && sql->len == 0) {
        ok = err_set(err, ERR_INPUT,
                     "the database has every table and column of the view: declare the new ones in "
                     "scripts/view.lua first");
    } else if (ok && !strstr(sql->data, "\n-- undo: ")) { /* columns of another type alone */
        ok = err_set(err, ERR_INPUT,
                     "no table or column is missing; a change of type is yours to write:%s",
                     sql->data);
    }
    return ok;
}

static bool new_migration_fill(const struct command *command, struct scaffold_file *file,
                               struct err *err) {
    const struct config *config = command->config;
    struct script_generation *generation = script_generation_load(config, 1, err);
    struct buffer sql = {0};
    int number = 0;
    bool ok = generation && migrate_next_number(config, &number, err) &&
              new_migration_draft(config, script_generation_view(generation), &sql, err);
    if (ok) {
        snprintf(file->path, sizeof file->path, "%s/migrations/%04d_%s.sql", config->scripts.sql,
                 number, command->words[0]);
        buffer_append_text(&file->text, new_migration_head);
        buffer_append_text(&file->text, sql.data);
    }
    buffer_free(&sql);
    script_generation_unref(generation);
    return ok;
}

int command_new_migration(const struct command *command) {
    struct scaffold scaffold = {.count = 1};
    struct err err = {0};
    bool ok = new_check_name(command->words[0], &err) &&
              new_migration_fill(command, &scaffold.files[0], &err) &&
              scaffold_write(&scaffold, &err);
    if (ok) {
        printf("wrote %s\n\nRead it, then:\n  aggregator migrate\n  aggregator check\n",
               scaffold.files[0].path);
    } else {
        command_report(command, "new", &err);
    }
    scaffold_free(&scaffold);
    return ok ? 0 : 1;
}

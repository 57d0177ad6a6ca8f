/* migrate: `aggregator migrate`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plural.h"
#include "command.h"
#include "report.h"
#include "base/xalloc.h"
#include "schema/citus.h"
#include "schema/migrate.h"
#include "script/script.h"
#include "view/view.h"

/* False: the user refuses, or it failed. Without an applied draft there is nothing to take back. */
static bool migrate_redo_newest(const struct command *command, struct err *err) {
    char *name, question[512];
    bool ok = migrate_newest(command->config, &name, err);
    if (ok && name) {
        snprintf(question, sizeof question,
                 "%s is taken back and applied again. The rows of the tables and columns that it "
                 "makes are lost; `aggregator rebuild` fills those of the view again.",
                 name);
        ok = command_confirm(command, question) && migrate_redo(command->config, name, err);
        if (ok) {
            printf("%s taken back and applied again\n", name);
        }
    }
    free(name);
    return ok;
}

/* By the first column of its key, each table of the view: the rows that one event writes have it,
 * and so do most queries. */
static bool migrate_spread(const struct config *config, int *done, struct err *err) {
    struct script_generation *generation = script_generation_load(config, 1, err);
    if (!generation) {
        return err_wrap(err, "the migrations are applied, and no table is distributed");
    }
    const struct view *view = script_generation_view(generation);
    struct citus_table *tables = xcalloc(view->table_count + 1, sizeof *tables);
    for (size_t i = 0; i < view->table_count; i++) {
        tables[i] = (struct citus_table){view->tables[i].name, view->tables[i].key[0].name};
    }
    bool ok = migrate_distribute(config, tables, view->table_count, done, err);
    free(tables);
    script_generation_unref(generation);
    return ok;
}

int command_migrate(const struct command *command) {
    struct err err = {0};
    int applied = 0, done = 0;
    bool on_citus = false;
    if ((command->redo && !migrate_redo_newest(command, &err)) ||
        !migrate_run(command->config, &applied, &on_citus, &err) ||
        (on_citus && !migrate_spread(command->config, &done, &err))) {
        if (err.kind != ERR_NONE) {
            command_report(command, "migrate", &err);
        }
        return 1;
    }
    printf("%d migration%s applied\n", applied, plural_of(applied));
    if (on_citus) {
        printf("Citus: %d object%s distributed\n", done, plural_of(done));
    }
    return 0;
}

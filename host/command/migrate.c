/* migrate: `aggregator migrate`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plural.h"
#include "command.h"
#include "report.h"
#include "schema/migrate.h"

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

int command_migrate(const struct command *command) {
    struct err err = {0};
    int applied = 0;
    if ((command->redo && !migrate_redo_newest(command, &err)) ||
        !migrate_run(command->config, &applied, &err)) {
        if (err.kind != ERR_NONE) {
            command_report(command, "migrate", &err);
        }
        return 1;
    }
    printf("%d migration%s applied\n", applied, plural_of(applied));
    return 0;
}

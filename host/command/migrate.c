/* migrate: `aggregator migrate`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plural.h"
#include "command.h"
#include "schema/migrate.h"

static bool migrate_redo(const struct command *command, struct err *err) {
    char *name;
    bool ok = migrate_undo(command->config, &name, err);
    if (ok) {
        printf("%s taken back\n", name);
    }
    free(name);
    return ok;
}

int command_migrate(const struct command *command) {
    struct err err = {0};
    int applied = 0;
    if (command->redo &&
        !command_confirm(command, "The newest migration is taken back, with the rows of the tables "
                                  "and columns that it made, and applied again.")) {
        return 1;
    }
    if ((command->redo && !migrate_redo(command, &err)) ||
        !migrate_run(command->config, &applied, &err)) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return 1;
    }
    printf("%d migration%s applied\n", applied, plural_of(applied));
    return 0;
}

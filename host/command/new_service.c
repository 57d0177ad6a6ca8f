/* new_service: `aggregator new service`. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "config/location.h"
#include "new.h"
#include "scaffold/scaffold.h"

/* The name begins those of its metrics. */
static bool new_service_check(const char *name, struct err *err) {
    if (!new_check_name(name, err)) {
        return false;
    }
    if (name[0] < 'a' || name[0] > 'z') {
        return err_set(err, ERR_INPUT, "NAME is \"%s\": it begins with a letter", name);
    }
    return access(name, F_OK) != 0 ||
           err_set(err, ERR_INPUT, "%s exists: nothing was written; choose another name", name);
}

/* Whether a command in the service's folder reads the config.lua there. */
static bool new_service_is_found(void) {
    struct buffer path = {0};
    config_find(NULL, &path);
    bool found = strcmp(path.data, "config.lua") == 0;
    buffer_free(&path);
    return found;
}

static void new_service_say(const struct scaffold *scaffold, const char *name) {
    for (size_t i = 0; i < scaffold->count; i++) {
        printf("wrote %s\n", scaffold->files[i].path);
    }
    printf("\nIt passes as it is:\n  cd %s\n%s  aggregator test\n  luacheck scripts spec\n"
           "It has one kind of event, one table and one route: replace them by yours. With a "
           "database, which DATABASE_URL or config.lua names:\n  aggregator migrate\n"
           "  aggregator check\n",
           name, new_service_is_found() ? "" : "  export AGGREGATOR_CONFIG=$PWD/config.lua\n");
}

int command_new_service(const struct command *command) {
    const char *name = command->words[0];
    struct scaffold scaffold = {.count = 0};
    struct err err = {0};
    bool ok = new_service_check(name, &err);
    if (ok) {
        scaffold_fill_service(&scaffold, name);
        ok = scaffold_write(&scaffold, &err);
    }
    if (ok) {
        new_service_say(&scaffold, name);
    } else {
        fprintf(stderr, "aggregator: new: %s\n", err.text);
    }
    scaffold_free(&scaffold);
    return ok ? 0 : 1;
}

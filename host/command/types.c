/* types: `aggregator types`. */
#include <stdio.h>

#include "command.h"
#include "../script/types.h"

const char command_types_usage[] =
    "usage: aggregator types >docs/types/service.lua\n"
    "\n"
    "Prints what an editor's language server (LuaLS) is to know of this service, as Lua comments:\n"
    "\n"
    "  View                   its tables, with the columns of each group that merge takes\n"
    "  handlers.NAME          the declaration of each handler, and handlers.NAME.Event, the event\n"
    "                         with its fields\n"
    "  pg.query               the names and parameters of the files in sql/queries\n"
    "\n"
    "Reads the scripts on disk; needs no server. Run it again when a declaration has changed.\n";

int command_types(const struct command *command) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load(command->config, 1, &err);
    struct buffer text = {0};
    bool ok = generation && script_types(generation, &text, &err);
    if (ok && (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)) {
        ok = err_set(&err, ERR_INPUT, "standard output cannot be written");
    }
    if (!ok) {
        fprintf(stderr, "aggregator: types: %s\n", err.text);
    }
    buffer_free(&text);
    script_generation_unref(generation);
    return ok ? 0 : 1;
}

/* types: `aggregator types`. */
#include <stdio.h>

#include "command.h"
#include "check/types.h"

int command_types(const struct command *command) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load(command->config, 1, &err);
    struct buffer text = {0};
    bool ok = generation && script_types(generation, &text, &err);
    if (ok) {
        fwrite(text.data, 1, text.len, stdout);
    } else {
        fprintf(stderr, "aggregator: types: %s\n", err.text);
    }
    buffer_free(&text);
    script_generation_unref(generation);
    return ok ? 0 : 1;
}

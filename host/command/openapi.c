/* openapi: `aggregator openapi`. */
#include <stdio.h>

#include "command.h"
#include "http/api_description.h"

int command_openapi(const struct command *command) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load(command->config, 1, &err);
    struct buffer text = {0};
    bool ok = generation && api_description_append(generation, true, &text, &err);
    if (ok) {
        fwrite(text.data, 1, text.len, stdout);
    } else {
        fprintf(stderr, "aggregator: openapi: %s\n", err.text);
    }
    buffer_free(&text);
    script_generation_unref(generation);
    return ok ? 0 : 1;
}

/* tap: `aggregator tap`. */
#include <stdio.h>

#include "author/tap.h"
#include "command.h"

int command_tap(const struct command *command) {
    struct tap_options options = {
        .config = command->config,
        .topics = command->topics,
        .topic_count = command->topic_count,
        .needles = {command->batch, command->contains},
        .from_beginning = command->from_beginning,
        .limit = command->limit,
        .json = command->json,
        .record = command->record,
    };
    struct err err = {0};
    if (!tap_run(&options, &err)) {
        fprintf(stderr, "aggregator: tap: %s\n", err.text);
        return err.kind == ERR_INPUT ? 2 : 1;
    }
    return 0;
}

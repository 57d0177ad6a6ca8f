/* tap: `aggregator tap`. */
#include <stdio.h>

#include "author/tap.h"
#include "command.h"
#include "report.h"
#include "script/script.h"

int command_tap(const struct command *command) {
    script_print_plainly();
    struct tap_options options = {
        .config = command->config,
        .topics = command->topics.items,
        .topic_count = command->topics.count,
        .needles = {command->id, command->contains},
        .from_beginning = command->from_beginning,
        .limit = command->limit,
        .json = command->json,
        .record = command->record,
    };
    struct err err = {0};
    if (!tap_run(&options, &err)) {
        command_report(command, "tap", &err);
        return err.kind == ERR_INPUT ? 2 : 1;
    }
    return 0;
}

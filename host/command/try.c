/* try: `aggregator try`. */
#include <stdio.h>

#include "author/try.h"
#include "author/try_reaction.h"
#include "command.h"

static int command_try_report(const struct err *err) {
    fprintf(stderr, "aggregator: try: %s\n", err->text);
    return err->kind == ERR_INPUT ? 2 : 1;
}

static int command_try_reaction(const struct command *command) {
    struct try_reaction_options options = {
        .config = command->config,
        .reaction = command->reaction,
        .path = command->row,
        .json = command->json,
    };
    size_t failed;
    struct err err = {0};
    if (!try_reaction_run(&options, &failed, &err)) {
        return command_try_report(&err);
    }
    return failed > 0 ? 1 : 0;
}

int command_try(const struct command *command) {
    if (command->reaction) {
        return command_try_reaction(command);
    }
    struct try_options options = {
        .config = command->config,
        .handler = command->word_count == 2 ? command->words[0] : NULL,
        .path = command->words[command->word_count - 1],
        .json = command->json,
    };
    struct try_totals totals;
    struct err err = {0};
    if (!try_run(&options, &totals, &err)) {
        return command_try_report(&err);
    }
    if (totals.applied + totals.ignored + totals.rejected == 0) {
        fputs("aggregator: try: no event of the file has a topic that is read\n", stderr);
        return 2;
    }
    return totals.rejected > 0 ? 1 : 0;
}

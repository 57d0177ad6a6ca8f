/* try: `aggregator try`. */
#include <stdio.h>

#include "author/try.h"
#include "author/try_reaction.h"
#include "author/try_route.h"
#include "command.h"
#include "report.h"
#include "script/script.h"

static int command_try_report(const struct command *command, const struct err *err) {
    command_report(command, "try", err);
    return err->kind == ERR_INPUT ? 2 : 1;
}

static int command_try_reaction(const struct command *command) {
    struct try_reaction_options options = {
        .config = command->config,
        .reaction = command->reaction,
        .path = command->row,
        .keys = command->keys.items,
        .key_count = command->keys.count,
        .json = command->json,
    };
    size_t failed;
    struct err err = {0};
    if (!try_reaction_run(&options, &failed, &err)) {
        return command_try_report(command, &err);
    }
    return failed > 0 ? 1 : 0;
}

static int command_try_route(const struct command *command) {
    struct try_route_options options = {
        .config = command->config,
        .method = command->method,
        .target = command->path,
        .headers = command->headers.items,
        .header_count = command->headers.count,
        .body = command->body,
        .stubs = command->stubs,
        .json = command->json,
    };
    int status;
    struct err err = {0};
    if (!try_route_run(&options, &status, &err)) {
        return command_try_report(command, &err);
    }
    if (err.kind != ERR_NONE) {
        command_try_report(command, &err);
    }
    return status >= 500 ? 1 : 0;
}

int command_try(const struct command *command) {
    script_print_plainly();
    if (command->path) {
        return command_try_route(command);
    }
    if (command->reaction) {
        return command_try_reaction(command);
    }
    struct try_options options = {
        .config = command->config,
        .handler = command->word_count == 2 ? command->words[0] : NULL,
        .path = command->words[command->word_count - 1],
        .stubs = command->stubs,
        .json = command->json,
    };
    struct try_totals totals;
    struct err err = {0};
    if (!try_run(&options, &totals, &err)) {
        return command_try_report(command, &err);
    }
    if (totals.applied + totals.ignored + totals.expired + totals.rejected == 0) {
        fputs("aggregator: try: no event of the file has a topic that is read\n", stderr);
        return 2;
    }
    return totals.rejected > 0 ? 1 : 0;
}

/* try: `aggregator try`. */
#include <stdio.h>

#include "../author/try.h"
#include "command.h"

const char command_try_usage[] =
    "usage: aggregator try [HANDLER] FILE|- [--json]\n"
    "\n"
    "Feeds the events of a file, or of standard input, through the handlers on disk, under the\n"
    "limits of production, and prints what came of each: its fields as the handler gets them, its\n"
    "merges, or why it is rejected; then the rows and the SQL that would write them. Touches\n"
    "nothing and needs no server: what a script asks of pg, redis, kafka or http fails with the\n"
    "kind \"unavailable\".\n"
    "\n"
    "  HANDLER  spellcheck_result, handlers/spellcheck_result, …; events of topics that it does\n"
    "           not declare are passed by as unread. Default: each topic's own\n"
    "  FILE     JSON lines or one JSON document. Each is a record, {\"topic\": …, \"key\": …,\n"
    "           \"value\": …} (or \"raw_b64\" in place of value: any bytes in base64), or a bare\n"
    "           envelope, which says no topic and so needs a HANDLER\n"
    "  --json   one JSON object for each event, and a last one for rows and statements\n"
    "\n"
    "Exit status: 0 all applied or ignored, 1 some rejected or the scripts are wrong, 2 the\n"
    "handler or the file is.\n";

int command_try(const struct command *command) {
    if (command->word_count < 1 || command->word_count > 2) {
        fputs(command_try_usage, stderr);
        return 2;
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
        fprintf(stderr, "aggregator: try: %s\n", err.text);
        return err.kind == ERR_INPUT ? 2 : 1;
    }
    if (totals.applied + totals.ignored + totals.rejected == 0) {
        fputs("aggregator: try: no event of the file is of a topic that is read\n", stderr);
        return 2;
    }
    return totals.rejected > 0 ? 1 : 0;
}

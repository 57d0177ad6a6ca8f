/* tap: `aggregator tap`. */
#include <stdio.h>

#include "../author/tap.h"
#include "command.h"

const char command_tap_usage[] =
    "usage: aggregator tap [--topic TOPIC]… [--batch ID] [--contains TEXT] [--limit N]\n"
    "                      [--from-beginning] [--json]\n"
    "\n"
    "Prints events as they come to Kafka: where each stands, its ids and times, its fields as the\n"
    "handler on disk gets them, its merges, or why it would be rejected. Reads outside the "
    "consumer\n"
    "group, moves no offset and writes nowhere: what a handler asks of pg, redis, kafka or http\n"
    "fails with the kind \"unavailable\". Ends at --limit, Ctrl-C or SIGTERM.\n"
    "\n"
    "  --topic TOPIC     these topics; default: all that handlers declare. Topics and partitions\n"
    "                    made later are not followed\n"
    "  --batch ID        events that name the id anywhere in their bytes\n"
    "  --contains TEXT   events that hold the text, byte for byte\n"
    "  --limit N         end after N events\n"
    "  --from-beginning  all that Kafka still has first; default: what comes from now on\n"
    "  --json            one JSON object a line\n"
    "\n"
    "Exit status: 0 ended as asked, 1 failed, 2 no such topic or option.\n";

int command_tap(const struct command *command) {
    struct tap_options options = {
        .config = command->config,
        .topics = command->topics,
        .topic_count = command->topic_count,
        .needles = {command->batch, command->contains},
        .from_beginning = command->from_beginning,
        .json = command->json,
    };
    struct err err = {0};
    if (command->limit && !command_number("limit", command->limit, 1, INT64_MAX, &options.limit)) {
        return 2;
    }
    if (!tap_run(&options, &err)) {
        fprintf(stderr, "aggregator: tap: %s\n", err.text);
        return err.kind == ERR_INPUT ? 2 : 1;
    }
    return 0;
}

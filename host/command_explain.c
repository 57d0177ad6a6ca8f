/* command_explain: `aggregator explain`. */
#include <getopt.h>
#include <stdlib.h>

#include "command.h"
#include "explain/explain.h"
#include "timestamp.h"

static const char usage[] =
    "usage: aggregator explain [WORD] ID [--table TABLE] [--since TIME|beginning] [--json]\n"
    "\n"
    "Says for each row that the id is a key of, or stands in a list of, and for each group of\n"
    "columns: which event wrote it (its id and time, topic, partition and offset, the scripts "
    "that\n"
    "handled it), which events lost against it, and which events that name the id were rejected.\n"
    "\n"
    "  WORD           batch: the id is one of the key column batch or batch_id only\n"
    "  --table TABLE  rows of that table only\n"
    "  --since TIME   read Kafka's log from that time on (ISO 8601), or from the beginning;\n"
    "                 default: an hour before the oldest event that wrote one of the rows\n"
    "  --limit N      print at most N events of each group, default 20\n"
    "  --json         everything, as one JSON object\n";

struct arguments {
    struct explain_options options;
    bool json;
    size_t limit;
};

static bool parse_since(const char *text, int64_t *since_us) {
    if (strcmp(text, "beginning") == 0) {
        *since_us = EXPLAIN_SINCE_BEGINNING;
        return true;
    }
    return timestamp_parse(slice_of(text), since_us) && *since_us >= 0;
}

static bool take_option(int option, struct arguments *arguments) {
    char *end = NULL;
    switch (option) {
    case 't':
        arguments->options.table = optarg;
        return true;
    case 's':
        return parse_since(optarg, &arguments->options.since_us);
    case 'j':
        return arguments->json = true;
    case 'l':
        arguments->limit = strtoul(optarg, &end, 10);
        return *optarg && !*end;
    default:
        return false;
    }
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"table", required_argument, NULL, 't'}, {"since", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},        {"limit", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    int option;
    optind = 0; /* main has read its own */
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!take_option(option, arguments)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    int left = argc - optind;
    if (left < 1 || left > 2) {
        fputs(usage, stderr);
        return 2;
    }
    arguments->options.word = left == 2 ? argv[optind] : NULL;
    arguments->options.id = argv[argc - 1];
    return -1;
}

int command_explain(const struct config *config, int argc, char **argv) {
    struct arguments arguments = {.limit = 20};
    arguments.options = (struct explain_options){.config = config, .since_us = EXPLAIN_SINCE_ROWS};
    int status = parse(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    struct explanation explanation;
    struct err err = {0};
    bool ok = explain_open(&explanation, &arguments.options, &err);
    if (!ok) {
        fprintf(stderr, "aggregator: explain: %s\n", err.text);
    } else if (arguments.json) {
        struct buffer json = {0};
        explain_json(&explanation, &json);
        puts(json.data);
        buffer_free(&json);
    } else {
        explain_print(&explanation, arguments.limit, stdout);
    }
    explain_close(&explanation);
    return ok ? 0 : 1;
}

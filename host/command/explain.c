/* explain: `aggregator explain`. */
#include "command.h"
#include "../explain/explain.h"
#include "../base/timestamp.h"

const char command_explain_usage[] =
    "usage: aggregator explain [WORD] ID [--table TABLE] [--since TIME|beginning] [--json]\n"
    "\n"
    "Says for each row that the id is a key of, or stands in a list of, and for each group of\n"
    "columns: which event wrote it (its id and time, topic, partition and offset, the scripts\n"
    "that handled it), which events lost against it, and which events that name the id were\n"
    "rejected.\n"
    "\n"
    "  WORD           batch: the id is one of the key column batch or batch_id only\n"
    "  --table TABLE  rows of that table only\n"
    "  --since TIME   read Kafka's log from that time on (ISO 8601), or from the beginning;\n"
    "                 default: an hour before the oldest event that wrote one of the rows\n"
    "  --limit N      print at most N events of each group, default 20\n"
    "  --json         everything, as one JSON object\n";

static bool parse_since(const char *text, int64_t *since_us) {
    if (strcmp(text, "beginning") == 0) {
        *since_us = EXPLAIN_SINCE_BEGINNING;
        return true;
    }
    return timestamp_parse(slice_of(text), since_us) && *since_us >= 0;
}

static bool read_options(const struct command *command, struct explain_options *options) {
    *options = (struct explain_options){
        .config = command->config,
        .table = command->table,
        .word = command->word_count == 2 ? command->words[0] : NULL,
        .id = command->word_count > 0 ? command->words[command->word_count - 1] : NULL,
        .since_us = EXPLAIN_SINCE_ROWS,
    };
    if (!options->id || command->word_count > 2) {
        fputs(command_explain_usage, stderr);
        return false;
    }
    if (command->since && !parse_since(command->since, &options->since_us)) {
        fprintf(stderr, "aggregator: --since is \"%s\": say 2026-01-31T08:00:00Z, or beginning\n",
                command->since);
        return false;
    }
    return true;
}

static void print(const struct explanation *explanation, bool as_json, size_t limit) {
    if (!as_json) {
        explain_print(explanation, limit, stdout);
        return;
    }
    struct buffer json = {0};
    explain_json(explanation, &json);
    puts(json.data);
    buffer_free(&json);
}

int command_explain(const struct command *command) {
    struct explain_options options;
    int64_t limit;
    if (!read_options(command, &options) || !command_print_limit(command, &limit)) {
        return 2;
    }
    struct explanation explanation;
    struct err err = {0};
    bool ok = explain_open(&explanation, &options, &err);
    if (ok) {
        print(&explanation, command->json, (size_t)limit);
    } else {
        fprintf(stderr, "aggregator: explain: %s\n", err.text);
    }
    bool wrong_question = explanation.generation && err.kind == ERR_INPUT;
    explain_close(&explanation);
    return ok ? 0 : wrong_question ? 2 : 1;
}

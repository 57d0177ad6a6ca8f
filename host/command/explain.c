/* explain: `aggregator explain`. */
#include "command.h"
#include "explain/explain.h"
#include "schema/program_schema.h"

static void command_explain_print(const struct explanation *explanation, bool as_json,
                                  size_t limit) {
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
    struct explain_options options = {
        .config = command->config,
        .table = command->table,
        .word = command->word_count == 2 ? command->words[0] : NULL,
        .id = command->words[command->word_count - 1],
        .since_us = command->since_us,
    };
    struct explanation explanation;
    struct err err = {0};
    bool ok = explain_open(&explanation, &options, &err);
    if (ok) {
        command_explain_print(&explanation, command->json, (size_t)command->limit);
    } else {
        program_schema_advise(&err);
        fprintf(stderr, "aggregator: explain: %s\n", err.text);
    }
    bool wrong_question = explanation.wrong_question;
    explain_close(&explanation);
    return ok ? 0 : wrong_question ? 2 : 1;
}

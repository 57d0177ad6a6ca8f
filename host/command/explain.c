/* explain: `aggregator explain`. */
#include "command.h"
#include "report.h"
#include "explain/explain.h"
#include "schema/program_schema.h"

static bool command_explain_print(const struct explanation *explanation,
                                  const struct command *command, struct err *err) {
    if (!command->json) {
        return explain_print(explanation, command->limit, stdout, err);
    }
    struct buffer json = {0};
    explain_json(explanation, &json);
    puts(json.data);
    buffer_free(&json);
    return true;
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
    bool ok = explain_open(&explanation, &options, &err) &&
              command_explain_print(&explanation, command, &err);
    if (!ok) {
        program_schema_advise(&err);
        command_report(command, "explain", &err);
    }
    bool wrong_question = explanation.wrong_question;
    explain_close(&explanation);
    return ok ? 0 : wrong_question ? 2 : 1;
}

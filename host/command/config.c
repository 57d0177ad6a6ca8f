/* config: prints the settings, of the files or of the running program. */
#include "config/show.h"

#include <stdio.h>

#include "command.h"
#include "config_report.lua.h"
#include "live.h"
#include "report_text.lua.h"
#include "script/text_report.h"

#define LINE_CAP 256

static bool config_ask_program(const struct command *command, const char *only, struct buffer *json,
                               struct err *err) {
    char line[LINE_CAP];
    snprintf(line, sizeof line, "config%s%.64s%s", only[0] ? " only=" : "", only,
             command->changed ? " changed=true" : "");
    return live_ask(command->socket, line, json, err);
}

static int config_fail(const char *text, int status) {
    fprintf(stderr, "aggregator: config: %s\n", text);
    return status;
}

static int config_print(const struct command *command, const struct buffer *json, bool describe) {
    struct err err = {0};
    struct text_report report = {.name = "config_report",
                                 .chunk = EMBEDDED(config_report_lua),
                                 .helpers = {EMBEDDED(report_text_lua)},
                                 .json = buffer_slice(json),
                                 .limit = describe};
    if (command->json) {
        puts(json->data);
        return 0;
    }
    bool ok = text_report_print(&report, stdout, &err) ||
              (command->running && live_misread(command->socket, &err));
    return ok ? 0 : config_fail(err.text, 1);
}

int command_config(const struct command *command) {
    const char *only = command->word_count > 0 ? command->words[0] : "";
    struct config_view view = {
        .config = command->config, .only = slice_of(only), .changed = command->changed};
    struct buffer json = {0};
    struct err err = {0};
    bool ok = command->running ? config_ask_program(command, only, &json, &err)
                               : config_show(&view, &json, &err);
    bool describe = command->describe || strchr(only, '.');
    /* Wrong usage: no such setting. */
    int status = ok ? config_print(command, &json, describe)
                    : config_fail(err.text, err.kind == ERR_INPUT && only[0] ? 2 : 1);
    buffer_free(&json);
    return status;
}

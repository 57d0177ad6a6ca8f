/* help_json: the table of commands as JSON, from which packaging/ makes manual pages and
 * completions. */
#include "help.h"

#include <string.h>

#include "base/json_put.h"

static void help_json_put_text(struct buffer *json, const char *name, const char *text) {
    json_put_text(json, name, text ? slice_of(text) : (struct slice){NULL, 0});
}

static void help_json_put_option(struct buffer *json, const struct option_spec *option) {
    json_open(json, NULL, "{");
    help_json_put_text(json, "name", option->name);
    help_json_put_text(json, "value", option->value);
    help_json_put_text(json, "help", option->help);
    json_open(json, "words", "[");
    for (const char *const *word = option->words; word && *word; word++) {
        help_json_put_text(json, NULL, *word);
    }
    buffer_append_text(json, "]}");
}

static void help_json_put_options(struct buffer *json, const struct option_spec *options,
                                  size_t most) {
    json_open(json, "options", "[");
    for (size_t i = 0; i < most && options[i].name; i++) {
        help_json_put_option(json, &options[i]);
    }
    buffer_append_text(json, "]");
}

static void help_json_put_arguments(struct buffer *json, const struct argument_spec *arguments) {
    json_open(json, "arguments", "[");
    for (size_t i = 0; i < COMMAND_MAX_ARGUMENTS && arguments[i].name; i++) {
        json_open(json, NULL, "{");
        help_json_put_text(json, "name", arguments[i].name);
        help_json_put_text(json, "help", arguments[i].help);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void help_json_put_command(struct buffer *json, const struct command_spec *spec) {
    json_open(json, NULL, "{");
    help_json_put_text(json, "name", spec->name);
    help_json_put_text(json, "synopsis", spec->synopsis);
    help_json_put_text(json, "summary", spec->summary);
    help_json_put_text(json, "help", spec->help);
    help_json_put_text(json, "status", spec->status);
    help_json_put_arguments(json, spec->arguments);
    help_json_put_options(json, spec->options, COMMAND_MAX_OPTIONS);
    buffer_append_text(json, "}");
}

void help_json(struct buffer *json) {
    json_open(json, NULL, "{");
    help_json_put_text(json, "version", AGGREGATOR_VERSION);
    json_open(json, "commands", "[");
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)); i++) {
        help_json_put_command(json, spec);
    }
    buffer_append_text(json, "]");
    help_json_put_options(json, command_common_options, SIZE_MAX);
    buffer_append_text(json, "}\n");
}

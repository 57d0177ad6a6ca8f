#include "help.h"

#include <stdio.h>
#include <string.h>

#include "arguments.h"

#define COLUMNS 80
#define PROGRAM "aggregator"
#define STATUS "0 done, 1 failed, 2 wrong usage"

/* ---- text in columns ------------------------------------------------------------------------ */

/* Characters of UTF-8: bytes that continue none. */
static size_t help_columns_of(const char *text, size_t len) {
    size_t columns = 0;
    for (size_t i = 0; i < len; i++) {
        columns += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return columns;
}

static void help_put_blanks(struct buffer *out, size_t count) {
    buffer_append_format(out, "%*s", (int)count, "");
}

/* The bytes up to the next place where a line may end; not within brackets that a word begins
 * with. */
static size_t help_word_len(const char *text) {
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    return (end ? (size_t)(end - text) : 0) + strcspn(end ? end : text, " \n");
}

/* The text from column `at` on, its further lines indented; ends with a line feed. */
static void help_put_wrapped(struct buffer *out, const char *text, size_t at, size_t indent) {
    bool begun = false;
    while (*text) {
        size_t len = help_word_len(text), columns = help_columns_of(text, len);
        if (begun && at + 1 + columns > COLUMNS) {
            buffer_append_text(out, "\n");
            help_put_blanks(out, indent);
            at = indent;
        } else if (begun) {
            buffer_append_text(out, " ");
            at++;
        }
        buffer_append(out, text, len);
        at += columns;
        begun = true;
        text += len;
        if (*text == '\n') {
            buffer_append_text(out, "\n\n");
            help_put_blanks(out, indent);
            at = indent;
            begun = false;
        }
        text += *text != '\0';
    }
    buffer_append_text(out, "\n");
}

static void help_put_entry(struct buffer *out, const char *name, size_t width, const char *text) {
    size_t columns = help_columns_of(name, strlen(name));
    buffer_append_format(out, "  %s", name);
    help_put_blanks(out, width - columns + 2);
    help_put_wrapped(out, text, width + 4, width + 4);
}

/* ---- parts ---------------------------------------------------------------------------------- */

#define NAME_BYTES 64

static size_t help_option_name(const struct option_spec *option, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "--%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    return help_columns_of(name, strlen(name));
}

static size_t help_widest(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t help_width_of(const struct command_spec *spec) {
    char name[NAME_BYTES];
    size_t width = 0;
    for (size_t i = 0; spec && i < COMMAND_MAX_ARGUMENTS && spec->arguments[i].name; i++) {
        width = help_widest(
            width, help_columns_of(spec->arguments[i].name, strlen(spec->arguments[i].name)));
    }
    for (size_t i = 0; spec && i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        width = help_widest(width, help_option_name(&spec->options[i], name));
    }
    for (const struct option_spec *common = command_common_options; common->name; common++) {
        width = help_widest(width, help_option_name(common, name));
    }
    return width;
}

static void help_put_option(struct buffer *out, const struct option_spec *option, size_t width) {
    char name[NAME_BYTES];
    help_option_name(option, name);
    help_put_entry(out, name, width, option->help);
}

static void help_put_common(struct buffer *out, size_t width) {
    buffer_append_text(out, "\nOptions of every command:\n\n");
    for (const struct option_spec *common = command_common_options; common->name; common++) {
        help_put_option(out, common, width);
    }
}

static void help_put_status(struct buffer *out, const char *status) {
    static const char begin[] = "\nExit status: ";
    buffer_append_text(out, begin);
    char text[256];
    snprintf(text, sizeof text, "%s.", status);
    help_put_wrapped(out, text, sizeof begin - 2, 2);
}

static void help_put_usage(struct buffer *out, const struct command_spec *spec) {
    char text[512];
    snprintf(text, sizeof text, "usage: " PROGRAM " %s%s%s", spec->name, *spec->synopsis ? " " : "",
             spec->synopsis);
    help_put_wrapped(out, text, 0, 11);
}

static bool help_is_of_group(const struct command_spec *spec, const char *group) {
    size_t len = group ? strlen(group) : 0;
    return !group || (strncmp(spec->name, group, len) == 0 && spec->name[len] == ' ');
}

static void help_put_commands(struct buffer *out, const char *group) {
    size_t width = 0;
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)); i++) {
        width = help_widest(width, strlen(spec->name));
    }
    for (size_t i = 0; (spec = commands_at(i)); i++) {
        const char *title = group ? NULL : commands_title_at(i);
        if (title) {
            buffer_append_format(out, "%s%s:\n\n", i > 0 ? "\n" : "", title);
        }
        if (help_is_of_group(spec, group)) {
            help_put_entry(out, spec->name, width, spec->summary);
        }
    }
}

/* ---- whole texts ---------------------------------------------------------------------------- */

void help_list(const char *group, struct buffer *out) {
    buffer_append_format(out, "usage: " PROGRAM " %s%sCOMMAND [ARGUMENTS] [OPTIONS]\n\n",
                         group ? group : "", group ? " " : "");
    help_put_commands(out, group);
    help_put_common(out, help_width_of(NULL));
    help_put_status(out, STATUS);
    buffer_append_text(
        out, "SIGTERM or SIGINT ends run, verify and rebuild in order; a second one ends them\n"
             "at once. `" PROGRAM " help COMMAND` says more of one.\n");
}

void help_command(const struct command_spec *spec, struct buffer *out) {
    size_t width = help_width_of(spec);
    help_put_usage(out, spec);
    buffer_append_text(out, "\n");
    if (spec->help) {
        help_put_wrapped(out, spec->help, 0, 0);
    } else {
        buffer_append_format(out, "%c%s.\n", spec->summary[0] & ~0x20, spec->summary + 1);
    }
    if (spec->arguments[0].name || spec->options[0].name) {
        buffer_append_text(out, "\n");
    }
    for (size_t i = 0; i < COMMAND_MAX_ARGUMENTS && spec->arguments[i].name; i++) {
        help_put_entry(out, spec->arguments[i].name, width, spec->arguments[i].help);
    }
    for (size_t i = 0; i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        help_put_option(out, &spec->options[i], width);
    }
    help_put_common(out, width);
    help_put_status(out, spec->status ? spec->status : STATUS);
}

void help_usage(const struct command_spec *spec, const char *group, struct buffer *out) {
    if (spec) {
        help_put_usage(out, spec);
        buffer_append_format(out, "`" PROGRAM " help %s` says more.\n", spec->name);
        return;
    }
    buffer_append_format(out, "usage: " PROGRAM " %s%sCOMMAND [ARGUMENTS] [OPTIONS]\n",
                         group ? group : "", group ? " " : "");
    buffer_append_format(out, "`" PROGRAM " help%s%s` lists the commands.\n", group ? " " : "",
                         group ? group : "");
}

int help_print(struct buffer *text) {
    fputs(text->data, stdout);
    buffer_free(text);
    return 0;
}

/* ---- the commands that print them ----------------------------------------------------------- */

int command_help(const struct command *command) {
    struct buffer text = {0};
    if (command->json) {
        help_json(&text);
        return help_print(&text);
    }
    int used, count = command->word_count;
    const struct command_spec *spec = commands_find(command->words, count, &used);
    bool group = count == 1 && !spec && commands_is_group(command->words[0]);
    if (count > 0 && !group && (!spec || used != count)) {
        struct err err = {0};
        if (spec) {
            err_set(&err, ERR_INPUT, "no command \"%s %s\": did you mean \"%s\"?", spec->name,
                    command->words[used], spec->name);
        } else {
            arguments_refuse_command(command->words, count, &err);
        }
        fprintf(stderr, PROGRAM ": help: %s\n", err.text);
        help_usage(NULL, NULL, &text);
        fputs(text.data, stderr);
        buffer_free(&text);
        return 2;
    }
    if (spec) {
        help_command(spec, &text);
    } else {
        help_list(group ? command->words[0] : NULL, &text);
    }
    return help_print(&text);
}

int command_version(const struct command *command) {
    (void)command;
    struct buffer text = {0};
    buffer_append_text(&text, PROGRAM " " AGGREGATOR_VERSION "\n");
    return help_print(&text);
}

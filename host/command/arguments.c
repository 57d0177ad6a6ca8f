#include "arguments.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "option_value.h"

#define COMMON_MAX 8 /* options that every command takes */
#define COMMANDS_MAX 64

/* Words that are no options move to the front of argv. */
struct reading {
    struct arguments *out;
    char **argv;
    int argc;
    int next; /* the word to be read */
    char **words;
    int word_count;
    bool only_words; /* "--" was read */
    bool given_own[COMMAND_MAX_OPTIONS], given_common[COMMON_MAX];
};

/* ---- unknown names -------------------------------------------------------------------------- */

#define HINT_BYTES 96

/* `: did you mean "NAME"?`, or nothing. */
static const char *arguments_hint_of(char hint[HINT_BYTES], const char *prefix,
                                     const char *nearest) {
    hint[0] = '\0';
    if (nearest) {
        snprintf(hint, HINT_BYTES, ": did you mean \"%s%s\"?", prefix, nearest);
    }
    return hint;
}

/* Names of commands; of a group, theirs. */
static size_t arguments_list_commands(const char *group, const char *names[COMMANDS_MAX]) {
    size_t count = 0, len = group ? strlen(group) : 0;
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)) && count < COMMANDS_MAX; i++) {
        const char *name = spec->name;
        if (!group || (strncmp(name, group, len) == 0 && name[len] == ' ')) {
            names[count++] = name;
        }
    }
    return count;
}

#define GROUPS_MAX 8
#define GROUP_BYTES 16

/* Adds the first words of two-word names, each once. */
static size_t arguments_add_groups(char groups[GROUPS_MAX][GROUP_BYTES], const char **names,
                                   size_t count) {
    size_t group_count = 0;
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)) && group_count < GROUPS_MAX && count < COMMANDS_MAX;
         i++) {
        int len = (int)strcspn(spec->name, " ");
        if (spec->name[len] == '\0') {
            continue;
        }
        char *group = groups[group_count];
        snprintf(group, GROUP_BYTES, "%.*s", len, spec->name);
        if (group_count == 0 || strcmp(groups[group_count - 1], group) != 0) {
            names[count++] = group;
            group_count++;
        }
    }
    return count;
}

static bool arguments_refuse_group(const char *group, const char *second, struct err *err) {
    const char *names[COMMANDS_MAX];
    char hint[NEAREST_HINT_CAP];
    size_t count = arguments_list_commands(group, names);
    char words[64];
    snprintf(words, sizeof words, "%s %s", group, second ? second : "");
    nearest_hint(hint, second ? words : "", names, count);
    return second ? err_set(err, ERR_INPUT, "no command \"%s\": %s", words, hint)
                  : err_set(err, ERR_INPUT, "%s needs a second word: %s", group, hint);
}

bool arguments_refuse_command(char **words, int word_count, struct err *err) {
    const char *word = words[0], *names[COMMANDS_MAX];
    char hint[HINT_BYTES], groups[GROUPS_MAX][GROUP_BYTES];
    if (commands_is_group(word)) {
        return arguments_refuse_group(word, word_count > 1 ? words[1] : NULL, err);
    }
    size_t count = arguments_add_groups(groups, names, arguments_list_commands(NULL, names));
    return err_set(err, ERR_INPUT, "no command \"%s\"%s", word,
                   arguments_hint_of(hint, "", nearest_name(word, names, count)));
}

static size_t arguments_list_options(const struct command_spec *spec, const char **names) {
    size_t count = 0;
    for (size_t i = 0; spec && i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        names[count++] = spec->options[i].name;
    }
    for (const struct option_spec *common = command_common_options; common->name; common++) {
        names[count++] = common->name;
    }
    return count;
}

static bool arguments_refuse_option(const struct command_spec *spec, const char *text,
                                    struct err *err) {
    const char *names[COMMAND_MAX_OPTIONS + COMMON_MAX];
    char name[64], hint[HINT_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
    const char *nearest = strncmp(name, "--", 2) == 0
                              ? nearest_name(name + 2, names, arguments_list_options(spec, names))
                              : NULL;
    if (!spec) {
        return err_set(err, ERR_INPUT,
                       "%s stands before the command: only options of every command do%s", name,
                       arguments_hint_of(hint, "--", nearest));
    }
    bool is_setting = !nearest && strcmp(spec->name, "run") == 0; /* --port, say */
    return err_set(err, ERR_INPUT, "%s takes no option %s%s", spec->name, name,
                   is_setting ? ": config.lua has the settings, and `aggregator config` lists them"
                              : arguments_hint_of(hint, "--", nearest));
}

/* ---- options -------------------------------------------------------------------------------- */

static bool *arguments_given_flag(struct reading *reading, const struct option_spec *option) {
    const struct command_spec *spec = reading->out->spec;
    for (size_t i = 0; spec && i < COMMAND_MAX_OPTIONS; i++) {
        if (option == &spec->options[i]) {
            return &reading->given_own[i];
        }
    }
    return &reading->given_common[option - command_common_options];
}

/* The option's text: after its "=", or the next word. */
static bool arguments_read_text(struct reading *reading, const struct option_spec *option,
                                const char *equals, const char **text, struct err *err) {
    if (!option->value) {
        *text = NULL;
        return !equals || err_set(err, ERR_INPUT, "--%s takes no value", option->name);
    }
    if (equals) {
        *text = equals + 1;
        return true;
    }
    const char *next = reading->next < reading->argc ? reading->argv[reading->next] : NULL;
    if (!next) {
        return err_set(err, ERR_INPUT, "--%s needs %s", option->name, option->value);
    }
    if (strncmp(next, "--", 2) == 0) { /* most likely the value was forgotten */
        return err_set(err, ERR_INPUT, "--%s needs %s; if it is \"%s\", say --%s=%s", option->name,
                       option->value, next, option->name, next);
    }
    *text = next;
    reading->next++;
    return true;
}

static bool arguments_read_option(struct reading *reading, const char *word, struct err *err) {
    struct arguments *out = reading->out;
    const char *name = word + 2, *equals = strchr(name, '='), *text = NULL;
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *option = strcmp(word, "-h") == 0 ? commands_option(NULL, "help", 4)
                                       : word[1] == '-' ? commands_option(out->spec, name, len)
                                                        : NULL;
    if (!option) {
        return arguments_refuse_option(out->spec, word, err);
    }
    if (strcmp(word, "-h") == 0) {
        equals = NULL;
    }
    if (!arguments_read_text(reading, option, equals, &text, err)) {
        return false;
    }
    bool *given = arguments_given_flag(reading, option);
    if (*given && option->kind != OPTION_TEXTS) {
        return err_set(err, ERR_INPUT, "--%s is given twice", option->name);
    }
    *given = true;
    return option_value_set(option, text, &out->command, err);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void arguments_know_command(struct reading *reading) {
    int used;
    struct arguments *out = reading->out;
    out->spec = commands_find(reading->words, reading->word_count, &used);
    if (!out->spec) {
        return;
    }
    reading->words += used;
    reading->word_count -= used;
    for (size_t i = 0; i < COMMAND_MAX_OPTIONS && out->spec->options[i].name; i++) {
        option_value_default(&out->spec->options[i], &out->command);
    }
}

/* How many arguments the command takes at most; -1: any number. *least: how many it needs. */
static int arguments_most_arguments(const struct command_spec *spec, int *least) {
    int most = 0;
    *least = 0;
    for (size_t i = 0; i < COMMAND_MAX_ARGUMENTS && spec->arguments[i].name; i++) {
        *least += !spec->arguments[i].is_optional;
        most = spec->arguments[i].may_repeat ? -1 : most + 1;
    }
    return most;
}

static const char *arguments_needed_argument(const struct command_spec *spec) {
    size_t i = 0;
    while (spec->arguments[i].is_optional) {
        i++;
    }
    return spec->arguments[i].name;
}

static bool arguments_check_arguments(const struct reading *reading, struct err *err) {
    const struct command_spec *spec = reading->out->spec;
    int least, most = arguments_most_arguments(spec, &least);
    if (reading->word_count < least) {
        return err_set(err, ERR_INPUT, "%s needs %s", spec->name, arguments_needed_argument(spec));
    }
    if (most >= 0 && reading->word_count > most) {
        return err_set(err, ERR_INPUT, "%s takes no \"%s\"", spec->name, reading->words[most]);
    }
    for (int i = 0; i < reading->word_count; i++) {
        if (!*reading->words[i]) {
            return err_set(err, ERR_INPUT, "argument %d of %s is empty", i + 1, spec->name);
        }
    }
    return true;
}

static bool arguments_check_options(const struct reading *reading, struct err *err) {
    const struct command_spec *spec = reading->out->spec;
    for (size_t i = 0; i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        if (spec->options[i].is_required && !reading->given_own[i]) {
            return err_set(err, ERR_INPUT, "%s needs --%s %s", spec->name, spec->options[i].name,
                           spec->options[i].value);
        }
    }
    const char *conflict = spec->conflict ? spec->conflict(&reading->out->command) : NULL;
    return !conflict || err_set(err, ERR_INPUT, "%s: %s", spec->name, conflict);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool arguments_read_word(struct reading *reading, char *word, struct err *err) {
    if (!reading->only_words && strcmp(word, "--") == 0) {
        reading->only_words = true;
        return true;
    }
    if (!reading->only_words && word[0] == '-' && word[1]) {
        return arguments_read_option(reading, word, err);
    }
    reading->words[reading->word_count++] = word;
    if (!reading->out->spec) {
        arguments_know_command(reading);
        bool hopeless = !reading->out->spec &&
                        (reading->word_count > 1 || !commands_is_group(reading->words[0]));
        return !hopeless || arguments_refuse_command(reading->words, reading->word_count, err);
    }
    return true;
}

bool arguments_read(int argc, char **argv, struct arguments *arguments, struct err *err) {
    struct reading reading = {
        .out = arguments, .argv = argv, .argc = argc, .next = 1, .words = argv + (argc > 0)};
    *arguments = (struct arguments){0};
    struct command *command = &arguments->command;
    while (reading.next < argc && !command->help && !command->version) {
        if (!arguments_read_word(&reading, argv[reading.next++], err)) {
            return false;
        }
    }
    command->words = reading.words;
    command->word_count = reading.word_count;
    if (!arguments->spec && reading.word_count > 0) {
        arguments->group = reading.words[0];
    }
    if (command->help || command->version) {
        return true;
    }
    if (!arguments->spec) {
        return reading.word_count > 0
                   ? arguments_refuse_command(reading.words, reading.word_count, err)
                   : err_set(err, ERR_INPUT, "say a command");
    }
    return arguments_check_arguments(&reading, err) && arguments_check_options(&reading, err);
}

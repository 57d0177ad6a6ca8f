/* commands: all commands, and how they are searched. */
#include "commands.h"

#include <string.h>

#include "commands_table.h"

static const char *const log_formats[] = {"json", "text", NULL};
static const char *const log_levels[] = {"debug", "info",     "warning", "error",
                                         "warn",  "critical", NULL};

const struct option_spec command_common_options[] = {
    TEXT("config", "FILE", config_path,
         "the configuration; default: $AGGREGATOR_CONFIG; of an installed program "
         "/etc/aggregator/config.lua, else ./config.lua. `aggregator config` lists every setting"),
    TEXT("socket", "PATH", socket,
         "the admin socket of the running program, for commands that ask it; default: "
         "admin.socket, also if the rest of the configuration is wrong"),
    {.name = "log",
     .value = "json|text",
     .kind = OPTION_WORD,
     .words = log_formats,
     .offset = FIELD(log_format),
     .help = "the form of log lines; text: for people"},
    {.name = "log-level",
     .value = "LEVEL",
     .kind = OPTION_WORD,
     .words = log_levels,
     .offset = FIELD(log_level),
     .help = "debug, info, warning (or warn), error (or critical)"},
    SWITCH("help", help, "print this; also -h and `aggregator help COMMAND`"),
    SWITCH("version", version, "print the version"),
    {.name = NULL},
};

static const struct command_spec specs_of_help[] = {
    {
        .name = "version",
        .run = command_version,
        .synopsis = "",
        .summary = "print the version",
        .is_raw = true,
        .without_config = true,
    },
    {
        .name = "help",
        .run = command_help,
        .synopsis = "[COMMAND…] [--json]",
        .summary = "print what a command does and takes",
        .arguments = {{.name = "COMMAND",
                       .is_optional = true,
                       .may_repeat = true,
                       .help = "its name, of one word or two; default: the list of all"}},
        .options = {SWITCH("json", json,
                           "every command with its options, as one JSON object: for tools")},
        .without_config = true,
    },
};

static const struct command_set commands_of_help = {"The program itself", specs_of_help,
                                                    sizeof specs_of_help / sizeof *specs_of_help};

static const struct command_set *const command_sets[] = {&commands_of_service, &commands_of_data,
                                                         &commands_of_authors, &commands_of_help};
#define SETS (sizeof command_sets / sizeof *command_sets)

/* The set that has the command of this index, which becomes that within the set; NULL: none. */
static const struct command_set *commands_set_at(size_t *index) {
    for (size_t i = 0; i < SETS; i++) {
        if (*index < command_sets[i]->count) {
            return command_sets[i];
        }
        *index -= command_sets[i]->count;
    }
    return NULL;
}

const struct command_spec *commands_at(size_t index) {
    const struct command_set *set = commands_set_at(&index);
    return set ? &set->specs[index] : NULL;
}

const char *commands_title_at(size_t index) {
    const struct command_set *set = commands_set_at(&index);
    return set && index == 0 ? set->title : NULL;
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* The number of words of the name that these words begin with; 0: they do not. */
static int commands_words_of_name(const char *name, char *const *words, int count) {
    const char *second = strchr(name, ' ');
    size_t len = second ? (size_t)(second - name) : strlen(name);
    if (count < (second ? 2 : 1) || strlen(words[0]) != len || memcmp(words[0], name, len) != 0) {
        return 0;
    }
    return !second ? 1 : strcmp(words[1], second + 1) == 0 ? 2 : 0;
}

const struct command_spec *commands_find(char *const *words, int count, int *used) {
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)); i++) {
        *used = commands_words_of_name(spec->name, words, count);
        if (*used > 0) {
            break;
        }
    }
    return spec;
}

bool commands_is_group(const char *word) {
    size_t len = strlen(word);
    const struct command_spec *spec = NULL;
    for (size_t i = 0; (spec = commands_at(i)); i++) {
        if (strncmp(spec->name, word, len) == 0 && spec->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static bool commands_is_named(const struct option_spec *option, const char *name, size_t len) {
    return strlen(option->name) == len && memcmp(option->name, name, len) == 0;
}

const struct option_spec *commands_option(const struct command_spec *spec, const char *name,
                                          size_t len) {
    const struct option_spec *common = command_common_options;
    for (size_t i = 0; spec && i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        if (commands_is_named(&spec->options[i], name, len)) {
            return &spec->options[i];
        }
    }
    while (common->name && !commands_is_named(common, name, len)) {
        common++;
    }
    return common->name ? common : NULL;
}

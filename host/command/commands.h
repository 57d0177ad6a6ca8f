/* commands: all commands, with options and help. arguments.c reads the command line by them; help.c
 * prints them. commands_of_*.c have their tables. Constant; any thread. */
#pragma once

#include <stddef.h>

#include "command.h"

enum option_kind {
    OPTION_SWITCH,  /* bool */
    OPTION_TEXT,    /* const char * */
    OPTION_TEXTS,   /* struct command_texts: may be repeated */
    OPTION_WORD,    /* const char *: one of `words`, in any case */
    OPTION_WHOLE,   /* int64_t from `min` to `max` */
    OPTION_PERCENT, /* double from 0 to 100 */
    OPTION_TIME,    /* int64_t, microseconds since 1970 */
    OPTION_SINCE,   /* likewise, or `beginning`: EXPLAIN_SINCE_BEGINNING */
};

struct option_spec {
    const char *name;  /* without -- */
    const char *value; /* the name of its value in the help; NULL: a switch */
    enum option_kind kind;
    size_t offset;            /* of its field in struct command */
    int64_t min, max;         /* OPTION_WHOLE */
    int64_t fallback;         /* if it is not given; numbers and times */
    const char *const *words; /* OPTION_WORD; ends with NULL */
    bool is_required;
    const char *help;
};

struct argument_spec {
    const char *name;
    bool is_optional;
    bool may_repeat; /* the last one only */
    const char *help;
};

#define COMMAND_MAX_OPTIONS 10
#define COMMAND_MAX_ARGUMENTS 2

struct command_spec {
    const char *name; /* one word, or two: "rejected drop" */
    int (*run)(const struct command *command);
    const char *synopsis; /* what follows the name in its usage; "" = nothing */
    const char *summary;  /* a line of the list of all commands */
    const char *help;     /* paragraphs, each on a line of its own; NULL: the summary is all */
    const char *status;   /* exit statuses that differ from 0 done, 1 failed, 2 wrong usage */
    struct argument_spec arguments[COMMAND_MAX_ARGUMENTS]; /* name NULL: no more */
    struct option_spec options[COMMAND_MAX_OPTIONS];       /* likewise */
    /* NULL, or why the options exclude each other (a literal). */
    const char *(*conflict)(const struct command *command);
    bool is_raw; /* prints terminal controls of its own, and cleans what comes from events */
    bool without_config;       /* does not need config.lua */
    bool asks_program;         /* it needs the admin socket alone */
    bool takes_config_problem; /* prints itself why the configuration cannot be read */
    bool takes_settings;       /* of the running program, while those on the disk are wrong */
};

/* The command of this index, in the order of the list of all; NULL: there are no more. */
const struct command_spec *commands_at(size_t index);
/* What the commands from this index on are for, if a set of commands begins with it; else NULL. */
const char *commands_title_at(size_t index);

/* Options of every command, before or after its name; end with name NULL. */
extern const struct option_spec command_common_options[];

/* The command whose name these words begin with; NULL: none. *used is the number of words of its
 * name. */
const struct command_spec *commands_find(char *const *words, int count, int *used);
/* Whether names of two words begin with this one. */
bool commands_is_group(const char *word);
/* The option of the command, or of all (spec NULL: these alone), by the len bytes of its name. */
const struct option_spec *commands_option(const struct command_spec *spec, const char *name,
                                          size_t len);

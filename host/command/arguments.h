/* arguments: reads the command line by the table of commands. Refuses unknown and repeated options.
 * Pure but for argv. One thread. */
#pragma once

#include "base/err.h"
#include "commands.h"

struct arguments {
    const struct command_spec *spec; /* NULL: no command, or a group's first word alone */
    const char *group;               /* "rejected", with `help` and without spec; or NULL */
    struct command command;
};

/* Fills `arguments`; texts and words point into argv, whose pointers are moved. Reads no further
 * where help or version is asked for (command.help, command.version). False: ERR_INPUT says what is
 * wrong, on which option, and what to say instead; `spec` is set where the command is known. */
bool arguments_read(int argc, char **argv, struct arguments *arguments, struct err *err);
/* Always false: err says that the words name no command, and names the nearest. */
bool arguments_refuse_command(char **words, int word_count, struct err *err);

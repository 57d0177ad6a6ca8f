/* help: the table of commands as text of 80 columns. */
#pragma once

#include "base/buffer.h"
#include "commands.h"

/* All commands of a group (NULL: all), and the common options. */
void help_list(const char *group, struct buffer *out);
/* One command: usage, what it does, its arguments and options, its exit statuses. */
void help_command(const struct command_spec *spec, struct buffer *out);
/* The whole table as one JSON object: version, commands, and the options of every command. */
void help_json(struct buffer *json);
/* Prints the text on standard output and frees it; returns the exit status. */
int help_print(struct buffer *text);
/* The lines under an error: the usage of the command, or, without spec, of the group or program. */
void help_usage(const struct command_spec *spec, const char *group, struct buffer *out);

/* help: what the table of commands says, for a terminal of 80 columns. */
#ifndef AGG_HOST_COMMAND_HELP_H
#define AGG_HOST_COMMAND_HELP_H

#include "base/buffer.h"
#include "commands.h"

/* All commands whose names begin with the word (NULL: all there are), and what they share. */
void help_list(const char *group, struct buffer *out);
/* One command: usage, what it does, its arguments and options, its exit statuses. */
void help_command(const struct command_spec *spec, struct buffer *out);
/* Prints the text on standard output and frees it; the exit status: 1 where it was not taken. */
int help_print(struct buffer *text);
/* The lines under an error: the usage of the command, or of the group or program where spec is
 * NULL, and where more is said. */
void help_usage(const struct command_spec *spec, const char *group, struct buffer *out);

#endif

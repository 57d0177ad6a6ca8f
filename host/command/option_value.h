/* option_value: one option's text, checked and put into its field of struct command. */
#ifndef AGG_HOST_COMMAND_OPTION_VALUE_H
#define AGG_HOST_COMMAND_OPTION_VALUE_H

#include "base/err.h"
#include "commands.h"

/* `text` is NULL for a switch, and outlives the command. False: ERR_INPUT says what the option
 * takes. */
bool option_value_set(const struct option_spec *option, const char *text, struct command *command,
                      struct err *err);
/* Puts in what the field holds where the option is not given. */
void option_value_default(const struct option_spec *option, struct command *command);

#endif

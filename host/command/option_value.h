/* option_value: checks an option's text and stores it in its field of struct command. */
#pragma once

#include "base/err.h"
#include "commands.h"

/* `text` is NULL for a switch, and outlives the command. False: ERR_INPUT says what the option
 * takes. */
bool option_value_set(const struct option_spec *option, const char *text, struct command *command,
                      struct err *err);
/* Stores the default. */
void option_value_default(const struct option_spec *option, struct command *command);

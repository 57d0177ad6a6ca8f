/* conflicts: options of a command that exclude or need one another. Each returns NULL, or a literal
 * that says what to say instead. Pure. */
#pragma once

#include "command.h"

const char *conflicts_selection(const struct command *command);
const char *conflicts_message(const struct command *command);
const char *conflicts_replay(const struct command *command);
const char *conflicts_migrate(const struct command *command);
const char *conflicts_reload(const struct command *command);
const char *conflicts_try(const struct command *command);

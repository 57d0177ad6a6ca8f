/* report: prints why a command failed. */
#pragma once

#include "base/err.h"
#include "command.h"

/* Prints "aggregator: NAME: TEXT". If a system cannot be reached, a further line names the setting
 * with its address and where that comes from, or .run/env, which `tools/run` writes. */
void command_report(const struct command *command, const char *name, const struct err *err);

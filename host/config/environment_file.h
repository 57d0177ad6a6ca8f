/* environment_file: the file `environment` beside the configuration, for passwords and keys:
 * NAME=value lines, as in the EnvironmentFile= of systemd.exec(5). The service and an operator's
 * command read the same values, whatever started them. */
#pragma once

#include "base/err.h"

/* Sets the variables that the process does not have, or has empty. Those that a former process of
 * the same service
 * (`aggregator upgrade`) took from the file are taken from it again. True also without a file.
 * False: the file cannot be read, or a line is no variable. Before the first thread starts. */
bool environment_file_read(const char *config_path, struct err *err);
/* Whether the variable was taken from it. */
bool environment_file_has(const char *variable);

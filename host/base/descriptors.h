/* descriptors: keeps 0, 1 and 2 reserved: if the parent process closed one, a database's socket
 * would take its number and receive log lines. */
#pragma once

#include <stdbool.h>

/* Opens the closed ones of 0, 1 and 2 on /dev/null, 1 for reading: a command whose output is closed
 * fails when it prints. Call it first. False: see errno. */
bool descriptors_reserve(void);

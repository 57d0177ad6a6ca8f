/* which: finds the script that a word names. */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* The index among `count` structs of `size` bytes that begin with the script's name ("handlers/x")
 * of the one that `word` names: "x", "handlers/x" or "scripts/handlers/x.lua". -1: ERR_INPUT names
 * the `kind` ("handler"), the nearest and all. */
int which_script(const char *kind, const char *word, const void *scripts, size_t count, size_t size,
                 struct err *err);

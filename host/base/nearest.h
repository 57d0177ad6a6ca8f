/* nearest: suggests the known name that a misspelt word most resembles. Pure. */
#pragma once

#include <stddef.h>

#define NEAREST_HINT_CAP 512

/* The name with the smallest edit distance; the first of equals. NULL: none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t count);
/* Writes and returns `did you mean "x"?`, `there are a, b, c` (as many as fit) or `there are none`.
 */
const char *nearest_hint(char hint[NEAREST_HINT_CAP], const char *word, const char *const *names,
                         size_t count);

/* nearest: which of the names that there are a misspelt one was meant to be. Pure. */
#ifndef AGG_HOST_BASE_NEAREST_H
#define AGG_HOST_BASE_NEAREST_H

#include <stddef.h>

#define NEAREST_HINT_CAP 512

/* The name that the fewest edits (a letter more, less or another, or two neighbours swapped) make
 * of the word; of equals the first. NULL: none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t count);
/* Writes what helps who wrote the word: `did you mean "x"?`, or `there are a, b, c`, as many as
 * there is room for, or `there are none`. Returns the hint. */
const char *nearest_hint(char hint[NEAREST_HINT_CAP], const char *word, const char *const *names,
                         size_t count);

#endif

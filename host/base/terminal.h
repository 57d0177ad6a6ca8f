/* terminal: escapes text from outside for terminals and logs: escape sequences clear a screen,
 * bidirectional controls reorder a text (Unicode TR 36; CVE-2021-42574). */
#pragma once

#include <stdio.h>

#include "buffer.h"
#include "err.h"

/* Appends the text with control characters (but tab and newline), bidirectional controls and
 * invisible characters as \uXXXX, which JSON reads as the same character, and bytes that are not
 * UTF-8 as \xXX. Returns the bytes taken: all but an incomplete sequence at the end (at most 3). */
size_t terminal_append(struct buffer *out, struct slice text);

/* Prints the text in that form and flushes. False: see errno. */
bool terminal_print(FILE *out, struct slice text);

/* Passes all further output on stdout and stderr through terminal_append. For commands that print
 * parts of events. Call it once, before the first print. */
bool terminal_guard_output(struct err *err);

/* Writes what stdout still holds. False: this, or an earlier write, failed, with errno. */
bool terminal_finish_output(void);

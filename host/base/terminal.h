/* terminal: text from outside is made harmless for whoever reads it. Escape sequences clear a
 * screen or rename a window, and bidirectional controls show a text in another order than it has
 * (Unicode TR 36, "Bidirectional Text Spoofing"; CVE-2021-42574). */
#ifndef AGG_HOST_BASE_TERMINAL_H
#define AGG_HOST_BASE_TERMINAL_H

#include <stdio.h>

#include "buffer.h"
#include "err.h"

/* Appends the text with every control character but tab and newline, every bidirectional control
 * and what is invisible written as \uXXXX, and every byte that is not UTF-8 as \xXX. In JSON text
 * the first form means the same character. Returns how many bytes were taken: all, but for a
 * sequence that is cut at the end (at most 3 bytes). */
size_t terminal_append(struct buffer *out, struct slice text);

/* Prints the text on one stream in that form, and flushes it. False: it could not be written. */
bool terminal_print(FILE *out, struct slice text);

/* From now on all that the process prints on stdout and stderr passes terminal_append. For commands
 * that show what events hold. Call it once, before the first print. */
bool terminal_guard_output(struct err *err);

#endif

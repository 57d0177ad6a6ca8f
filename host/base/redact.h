/* redact: replaces the configuration's secrets in every text that leaves the process; libraries and
 * servers may quote them. Any thread. */
#pragma once

#include "buffer.h"
#include "slice.h"

/* Adds a secret for the life of the process: an old password may be quoted after its rotation.
 * Ignores texts under four bytes: they would redact ordinary words. */
void redact_add(struct slice secret);
/* Adds the passwords of a URL or of key=value words: as written, unescaped, and split at the
 * delimiters of a URL, where a wrong parser would cut them. */
void redact_add_url(const char *url);
/* Appends such a text with each password, however short, as ***. */
void redact_append_url(struct buffer *out, const char *url);

/* Appends the text with each secret as ***. A secret under eight bytes matches whole words only. */
void redact_append(struct buffer *out, struct slice text);
/* The same in place; the text never grows. */
void redact_text(char *text);

/* redact: the secrets of the configuration, blotted out of whatever text leaves the process: what
 * libraries and servers say may quote them. Any thread. */
#ifndef AGG_HOST_BASE_REDACT_H
#define AGG_HOST_BASE_REDACT_H

#include "buffer.h"
#include "slice.h"

/* One more secret, for the life of the process: an old key may still be quoted after a new one.
 * Texts under four bytes are passed by: they would blot out words. */
void redact_add(struct slice secret);
/* The secrets in a URL's user part or in key=value words: the password as it stands and without its
 * escapes, and the parts at which a reader that takes it for something else would cut it. */
void redact_add_url(const char *url);

/* Appends the text with each secret as ***. One of less than eight bytes counts as a whole word. */
void redact_append(struct buffer *out, struct slice text);
/* The same in place, for a text that ends with a NUL; it never grows. */
void redact_text(char *text);

#endif

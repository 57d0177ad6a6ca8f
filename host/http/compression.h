/* compression: gzip for responses whose client accepts it (RFC 9110 12.5.3). */
#pragma once

#include "response.h"

/* Whether the response to the request is compressed: a 200 of at least min_bytes; 0: none is. */
bool compression_is_due(const struct request *request, const struct cached_response *cached,
                        int min_bytes);
/* Compresses the body if it is due, which takes about 6 µs a kilobyte unless an earlier response to
 * the same cached body did. Sets the response's Vary, and makes its ETag weak: the bytes are
 * others, their meaning is the same. */
void compression_apply(struct response *response, const struct request *request, int min_bytes);

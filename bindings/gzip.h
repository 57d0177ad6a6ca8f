/* gzip: compresses a text by zlib (RFC 1952). Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends the compressed bytes. False: zlib has no memory; the buffer is as before. */
bool gzip_append(struct buffer *out, struct slice text);

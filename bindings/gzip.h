/* gzip: compresses a text by zlib (RFC 1952). Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends the compressed bytes. False: zlib has no memory; the buffer is as before. */
bool gzip_append(struct buffer *out, struct slice text);

/* A text that comes in pieces; one thread at a time. */
struct gzip_stream;
struct gzip_stream *gzip_stream_create(void); /* NULL: zlib has no memory */
/* Appends the compressed piece, which can be decompressed with those before it; `last` ends the
 * stream. False: zlib failed. */
bool gzip_stream_append(struct gzip_stream *stream, struct buffer *out, struct slice piece,
                        bool last);
void gzip_stream_destroy(struct gzip_stream *stream); /* NULL: nothing */

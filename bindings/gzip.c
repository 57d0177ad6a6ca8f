#include "gzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/xalloc.h"

/* Level 1 makes a list of 30 objects 4.2 times smaller in 80 µs; level 6 4.6 times in 106 µs. */
#define LEVEL 1
#define WINDOW_BITS (15 + 16) /* 16: the gzip format */
#define MEMORY_LEVEL 8

static bool gzip_begin(z_stream *stream) {
    return deflateInit2(stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) ==
           Z_OK;
}

bool gzip_append(struct buffer *out, struct slice text) {
    z_stream stream = {0};
    if (!gzip_begin(&stream)) {
        return false;
    }
    size_t room = deflateBound(&stream, text.len);
    stream.next_in = (z_const Bytef *)text.data;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)buffer_reserve(out, room);
    stream.avail_out = (uInt)room;
    bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    out->len += whole ? stream.total_out : 0;
    /* After the stream's end there is nothing left to report. */
    return deflateEnd(&stream) == Z_OK && whole;
}

/* ---- in pieces ---------------------------------------------------------------------------- */

#define FLUSH_BYTES 64 /* what a flush and the trailer add (zlib.h: 6 and 8) */

struct gzip_stream {
    z_stream zlib;
};

struct gzip_stream *gzip_stream_create(void) {
    struct gzip_stream *stream = xcalloc(1, sizeof *stream);
    if (!gzip_begin(&stream->zlib)) {
        free(stream);
        return NULL;
    }
    return stream;
}

bool gzip_stream_append(struct gzip_stream *stream, struct buffer *out, struct slice piece,
                        bool last) {
    z_stream *zlib = &stream->zlib;
    int result;
    zlib->next_in = (z_const Bytef *)piece.data;
    zlib->avail_in = (uInt)piece.len;
    do {
        size_t room = deflateBound(zlib, zlib->avail_in) + FLUSH_BYTES;
        zlib->next_out = (Bytef *)buffer_reserve(out, room);
        zlib->avail_out = (uInt)room;
        result = deflate(zlib, last ? Z_FINISH : Z_SYNC_FLUSH);
        out->len += room - zlib->avail_out;
    } while (result == Z_OK && zlib->avail_out == 0); /* more is pending */
    return result == (last ? Z_STREAM_END : Z_OK);
}

void gzip_stream_destroy(struct gzip_stream *stream) {
    if (stream) {
        (void)deflateEnd(&stream->zlib); /* Z_DATA_ERROR: the stream was not finished */
        free(stream);
    }
}

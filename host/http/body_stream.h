/* body_stream: the body of a response that a worker makes while the loop of its connection writes
 * it. The worker waits while the loop has a piece that the client has not taken: four pieces are in
 * memory at most, however long the body is. Knows no socket and no script. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "request.h"

struct endpoint;
struct body_stream;

#define BODY_STREAM_PIECE_BYTES 65536

enum body_stream_end {
    BODY_STREAM_OPEN,
    BODY_STREAM_WHOLE,
    BODY_STREAM_FAILED,      /* the route raised, or a system that it needs failed */
    BODY_STREAM_CLIENT_LEFT, /* or its connection was lost */
    BODY_STREAM_SLOW_CLIENT, /* it took too little within http.request_timeout_ms */
    BODY_STREAM_TOO_SLOW,    /* not whole within http.stream_timeout_ms */
    BODY_STREAM_TOO_LARGE,   /* above http.stream_max_mb */
    BODY_STREAM_STOPPED,     /* the program stops */
    BODY_STREAM_ENDS
};

struct body_stream_options {
    struct endpoint *endpoint;  /* for metrics and the log, as the following two */
    struct slice method;        /* copied */
    const char *correlation_id; /* copied */
    int64_t deadline_us;        /* monotonic */
    uint64_t max_bytes;         /* before compression */
    bool chunked;               /* else the connection's end is that of the body (HTTP/1.0) */
    bool gzip;
    void *context; /* of the following two, which are called on the worker's thread */
    /* The first piece is full: the response's head has to be made. */
    void (*on_begin)(void *context);
    /* body_stream_take has something. */
    void (*on_piece)(void *context);
};

/* NULL: zlib has no memory. */
struct body_stream *body_stream_create(const struct body_stream_options *options);
/* The worker must have ended it. NULL: nothing. */
void body_stream_destroy(struct body_stream *stream);

/* ---- the worker ---- */

/* Waits while the client takes nothing. NULL, or why no more may be written: a literal. A piece
 * that is not full is sent a second after the one before. */
const char *body_stream_write(struct body_stream *stream, struct slice part);
/* Whether the loop has been given a piece. Until then all that was written is in
 * body_stream_collected. */
bool body_stream_has_begun(const struct body_stream *stream);
struct slice body_stream_collected(const struct body_stream *stream);
/* After the last part: BODY_STREAM_WHOLE or why it is not. A body that has begun and does not
 * become whole is counted and logged, with `why` if it is not NULL. */
void body_stream_finish(struct body_stream *stream, enum body_stream_end end, const char *why);

/* ---- the loop ---- */

/* Replaces the piece, which is written, by the next one. False: there is none now. */
bool body_stream_take(struct body_stream *stream, struct buffer *piece);
/* Ends it before it is whole; the worker learns of it at its next part. */
void body_stream_stop(struct body_stream *stream, enum body_stream_end end);
/* Counts and logs a body that the worker had finished and that did not reach its client. */
void body_stream_report_lost(struct body_stream *stream);
enum body_stream_end body_stream_state(const struct body_stream *stream);

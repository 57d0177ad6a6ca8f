#include "body_stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "bindings/gzip.h"
#include "endpoint.h"
#include "error_log.h"

#define FLUSH_US 1000000 /* a client and its proxies see that the body goes on */

static const struct {
    const char *name;    /* for metrics and the log */
    const char *refusal; /* for the script */
} body_stream_ends[BODY_STREAM_ENDS] = {
    [BODY_STREAM_OPEN] = {"open", NULL},
    [BODY_STREAM_WHOLE] = {"whole", "the stream has ended"},
    [BODY_STREAM_FAILED] = {"failed", "the stream has failed"},
    [BODY_STREAM_CLIENT_LEFT] = {"client_left", "the client has left"},
    [BODY_STREAM_SLOW_CLIENT] = {"slow_client", "the client reads too slowly"},
    [BODY_STREAM_TOO_SLOW] = {"too_slow",
                              "the stream takes longer than http.stream_timeout_ms allows"},
    [BODY_STREAM_TOO_LARGE] = {"too_large", "the stream is longer than http.stream_max_mb allows"},
    [BODY_STREAM_STOPPED] = {"stopped", "the program stops"},
};

struct body_stream {
    struct body_stream_options options;
    char method[16];
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    /* The worker's: */
    struct buffer filling; /* the parts of the next piece */
    struct buffer framed;  /* the piece as it is sent */
    struct gzip_stream *gzip;
    uint64_t bytes;
    int64_t flushed_us;
    bool begun;
    /* Shared: */
    pthread_mutex_t lock;
    pthread_cond_t taken;
    struct buffer ready; /* for the loop; empty: it has taken all */
    _Atomic enum body_stream_end end;
};

struct body_stream *body_stream_create(const struct body_stream_options *options) {
    struct gzip_stream *gzip = options->gzip ? gzip_stream_create() : NULL;
    if (options->gzip && !gzip) {
        return NULL;
    }
    struct body_stream *stream = xcalloc(1, sizeof *stream);
    stream->options = *options;
    stream->gzip = gzip;
    stream->flushed_us = clock_monotonic_us();
    snprintf(stream->method, sizeof stream->method, "%.*s", (int)options->method.len,
             options->method.data);
    snprintf(stream->correlation_id, sizeof stream->correlation_id, "%s", options->correlation_id);
    pthread_mutex_init(&stream->lock, NULL);
    clock_condition_init(&stream->taken);
    atomic_init(&stream->end, BODY_STREAM_OPEN);
    return stream;
}

void body_stream_destroy(struct body_stream *stream) {
    if (stream) {
        gzip_stream_destroy(stream->gzip);
        buffer_free(&stream->filling);
        buffer_free(&stream->framed);
        buffer_free(&stream->ready);
        pthread_cond_destroy(&stream->taken);
        pthread_mutex_destroy(&stream->lock);
        free(stream);
    }
}

enum body_stream_end body_stream_state(const struct body_stream *stream) {
    return atomic_load_explicit(&stream->end, memory_order_acquire);
}

void body_stream_stop(struct body_stream *stream, enum body_stream_end end) {
    pthread_mutex_lock(&stream->lock);
    if (body_stream_state(stream) <= BODY_STREAM_WHOLE) {
        atomic_store_explicit(&stream->end, end, memory_order_release);
    }
    pthread_cond_signal(&stream->taken);
    pthread_mutex_unlock(&stream->lock);
}

/* ---- the worker --------------------------------------------------------------------------- */

static void body_stream_frame(struct buffer *framed, struct slice bytes, bool chunked) {
    if (chunked && bytes.len > 0) { /* RFC 9112 7.1; a chunk of no bytes would be the last one */
        buffer_append_format(framed, "%zx\r\n", bytes.len);
        buffer_append_slice(framed, bytes);
        buffer_append_text(framed, "\r\n");
    } else {
        buffer_append_slice(framed, bytes);
    }
}

/* Makes `framed` of what is in `filling`. False: zlib failed. */
static bool body_stream_make_piece(struct body_stream *stream, bool last) {
    struct buffer packed = {0};
    bool good = true;
    buffer_clear(&stream->framed);
    if (stream->gzip) {
        good = gzip_stream_append(stream->gzip, &packed, buffer_slice(&stream->filling), last);
    }
    body_stream_frame(&stream->framed, buffer_slice(stream->gzip ? &packed : &stream->filling),
                      stream->options.chunked);
    if (last && stream->options.chunked) {
        buffer_append_text(&stream->framed, "0\r\n\r\n");
    }
    buffer_clear(&stream->filling);
    buffer_free(&packed);
    return good;
}

/* Under the lock: waits until the loop has taken the piece before. */
static void body_stream_await_room(struct body_stream *stream) {
    int status = 0;
    while (stream->ready.len > 0 && body_stream_state(stream) == BODY_STREAM_OPEN && status == 0) {
        status = clock_condition_wait(&stream->taken, &stream->lock, stream->options.deadline_us);
    }
    if (status != 0 && body_stream_state(stream) == BODY_STREAM_OPEN) {
        atomic_store_explicit(&stream->end, BODY_STREAM_TOO_SLOW, memory_order_release);
    }
}

static void body_stream_flush(struct body_stream *stream) {
    if (!body_stream_make_piece(stream, false)) {
        body_stream_stop(stream, BODY_STREAM_FAILED);
        return;
    }
    if (!stream->begun) {
        stream->begun = true;
        stream->options.on_begin(stream->options.context);
    }
    pthread_mutex_lock(&stream->lock);
    body_stream_await_room(stream);
    bool open = body_stream_state(stream) == BODY_STREAM_OPEN;
    if (open) {
        struct buffer taken = stream->ready; /* empty: its memory is used again */
        stream->ready = stream->framed;
        stream->framed = taken;
    }
    pthread_mutex_unlock(&stream->lock);
    if (open) {
        stream->options.on_piece(stream->options.context);
    }
    stream->flushed_us = clock_monotonic_us();
}

static void body_stream_check_bounds(struct body_stream *stream, int64_t now_us) {
    if (stream->bytes > stream->options.max_bytes) {
        body_stream_stop(stream, BODY_STREAM_TOO_LARGE);
    } else if (now_us >= stream->options.deadline_us) {
        body_stream_stop(stream, BODY_STREAM_TOO_SLOW);
    }
}

const char *body_stream_write(struct body_stream *stream, struct slice part) {
    int64_t now_us = clock_monotonic_us();
    stream->bytes += part.len;
    body_stream_check_bounds(stream, now_us);
    while (part.len > 0 && body_stream_state(stream) == BODY_STREAM_OPEN) {
        size_t room = BODY_STREAM_PIECE_BYTES - stream->filling.len;
        size_t len = part.len < room ? part.len : room;
        buffer_append(&stream->filling, part.data, len);
        part = (struct slice){part.data + len, part.len - len};
        if (stream->filling.len == BODY_STREAM_PIECE_BYTES) {
            body_stream_flush(stream);
        }
    }
    if (stream->filling.len > 0 && now_us - stream->flushed_us >= FLUSH_US &&
        body_stream_state(stream) == BODY_STREAM_OPEN) {
        body_stream_flush(stream);
    }
    return body_stream_ends[body_stream_state(stream)].refusal;
}

bool body_stream_has_begun(const struct body_stream *stream) {
    return stream->begun;
}

struct slice body_stream_collected(const struct body_stream *stream) {
    return buffer_slice(&stream->filling);
}

static void body_stream_report(const struct body_stream *stream, enum body_stream_end end,
                               const char *why) {
    const char *name = body_stream_ends[end].name;
    endpoint_count_broken_stream(stream->options.endpoint, name, end == BODY_STREAM_FAILED);
    error_log_write_broken_stream(stream->options.endpoint,
                                  &(struct broken_stream){.method = slice_of(stream->method),
                                                          .reason = name,
                                                          .failed = end == BODY_STREAM_FAILED,
                                                          .bytes = stream->bytes,
                                                          .why = why});
}

/* The last piece follows the one that the loop may not have taken: the worker does not wait for it.
 */
void body_stream_finish(struct body_stream *stream, enum body_stream_end end, const char *why) {
    bool made = end != BODY_STREAM_WHOLE || body_stream_make_piece(stream, true);
    pthread_mutex_lock(&stream->lock);
    if (body_stream_state(stream) == BODY_STREAM_OPEN) {
        end = made ? end : BODY_STREAM_FAILED;
        if (end == BODY_STREAM_WHOLE) {
            buffer_append_slice(&stream->ready, buffer_slice(&stream->framed));
        }
        atomic_store_explicit(&stream->end, end, memory_order_release);
    }
    end = body_stream_state(stream);
    pthread_mutex_unlock(&stream->lock);
    if (end != BODY_STREAM_WHOLE && stream->begun) {
        body_stream_report(stream, end, why);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

bool body_stream_take(struct body_stream *stream, struct buffer *piece) {
    pthread_mutex_lock(&stream->lock);
    struct buffer next = stream->ready;
    stream->ready = *piece;
    *piece = next;
    buffer_clear(&stream->ready);
    pthread_cond_signal(&stream->taken);
    pthread_mutex_unlock(&stream->lock);
    return piece->len > 0;
}

void body_stream_report_lost(struct body_stream *stream) {
    log_set_correlation_id(slice_of(stream->correlation_id));
    body_stream_report(stream, body_stream_state(stream), NULL);
    log_set_correlation_id((struct slice){0});
}

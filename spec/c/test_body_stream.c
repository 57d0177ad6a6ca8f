/* The body of a streamed response: the main thread is the loop, another one the worker. */
#include "http/body_stream.h"
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "base/clock.h"
#include "http/endpoint.h"
#include "test.h"

#define S 1000000LL
#define MANY (40 * BODY_STREAM_PIECE_BYTES)

static struct {
    struct body_stream *stream;
    size_t bytes;
    const char *refusal; /* of the worker's last part */
    _Atomic size_t written;
    _Atomic bool ended;
    _Atomic int begun;
} worker;

static void on_begin(void *context) {
    (void)context;
    worker.begun++;
}

static void on_piece(void *context) {
    (void)context;
}

static struct body_stream_options options(void) {
    return (struct body_stream_options){.endpoint = endpoint_of("test"),
                                        .method = slice_of("GET"),
                                        .correlation_id = "c-1",
                                        .deadline_us = clock_monotonic_us() + 60 * S,
                                        .max_bytes = UINT64_MAX,
                                        .chunked = true,
                                        .on_begin = on_begin,
                                        .on_piece = on_piece};
}

static void *work(void *context) {
    char part[1000];
    (void)context;
    memset(part, 'x', sizeof part);
    worker.refusal = NULL;
    while (!worker.refusal && worker.written < worker.bytes) {
        worker.refusal = body_stream_write(worker.stream, (struct slice){part, sizeof part});
        worker.written += worker.refusal ? 0 : sizeof part;
    }
    body_stream_finish(worker.stream, worker.refusal ? BODY_STREAM_FAILED : BODY_STREAM_WHOLE,
                       worker.refusal);
    worker.ended = true;
    return NULL;
}

static pthread_t begin(const struct body_stream_options *of, size_t bytes) {
    pthread_t thread;
    worker.stream = body_stream_create(of);
    worker.bytes = bytes;
    worker.written = 0;
    worker.ended = false;
    worker.begun = 0;
    CHECK_INT(pthread_create(&thread, NULL, work, NULL), 0);
    return thread;
}

/* Takes all that the worker makes. */
static struct buffer take_all(void) {
    struct buffer all = {0}, piece = {0};
    for (;;) {
        bool ended = worker.ended; /* before the look: nothing follows */
        if (body_stream_take(worker.stream, &piece)) {
            CHECK(piece.len <= 2 * BODY_STREAM_PIECE_BYTES + 64);
            buffer_append_slice(&all, buffer_slice(&piece));
        } else if (ended) {
            break;
        }
    }
    buffer_free(&piece);
    return all;
}

/* The bytes of all chunks; the last one must be the end. */
static struct buffer join_chunks(const struct buffer *chunks) {
    struct buffer joined = {0};
    const char *at = chunks->data, *end = chunks->data + chunks->len;
    CHECK(at != NULL);
    if (!at) {
        return joined;
    }
    for (;;) {
        char *rest;
        size_t len = strtoul(at, &rest, 16);
        CHECK(strncmp(rest, "\r\n", 2) == 0);
        buffer_append(&joined, rest + 2, len);
        at = rest + 2 + len + 2;
        CHECK(strncmp(at - 2, "\r\n", 2) == 0);
        if (len == 0) {
            break;
        }
    }
    CHECK(at == end);
    return joined;
}

static void end(pthread_t thread) {
    pthread_join(thread, NULL);
    body_stream_destroy(worker.stream);
}

static void all_parts_arrive_in_chunks(void) {
    struct body_stream_options of = options();
    pthread_t thread = begin(&of, MANY);
    struct buffer chunks = take_all();
    struct buffer body = join_chunks(&chunks);
    CHECK_INT((int64_t)body.len, (MANY / 1000 + 1) * 1000);
    CHECK_INT(worker.begun, 1);
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_WHOLE);
    buffer_free(&chunks);
    buffer_free(&body);
    end(thread);
}

static void without_chunks_the_bytes_are_sent_as_they_are(void) {
    struct body_stream_options of = options();
    of.chunked = false;
    pthread_t thread = begin(&of, MANY);
    struct buffer body = take_all();
    CHECK_INT((int64_t)body.len, (MANY / 1000 + 1) * 1000);
    CHECK_INT((int64_t)strspn(body.data, "x"), (int64_t)body.len);
    buffer_free(&body);
    end(thread);
}

static void a_compressed_body_is_one_gzip_stream(void) {
    static char unpacked[MANY + 2000];
    struct body_stream_options of = options();
    of.gzip = true;
    pthread_t thread = begin(&of, MANY);
    struct buffer chunks = take_all();
    struct buffer packed = join_chunks(&chunks);
    z_stream zlib = {.next_in = (Bytef *)packed.data,
                     .avail_in = (uInt)packed.len,
                     .next_out = (Bytef *)unpacked,
                     .avail_out = sizeof unpacked};
    CHECK_INT(inflateInit2(&zlib, 15 + 16), Z_OK);
    CHECK_INT(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    CHECK_INT((int64_t)zlib.total_out, (MANY / 1000 + 1) * 1000);
    CHECK_INT(inflateEnd(&zlib), Z_OK);
    buffer_free(&chunks);
    buffer_free(&packed);
    end(thread);
}

static void a_worker_waits_for_a_slow_client(void) {
    struct body_stream_options of = options();
    struct buffer piece = {0};
    pthread_t thread = begin(&of, MANY);
    WAIT_UNTIL(worker.written > BODY_STREAM_PIECE_BYTES);
    CHECK(worker.written < 3 * BODY_STREAM_PIECE_BYTES);
    while (!body_stream_take(worker.stream, &piece)) {
    }
    size_t before = 2 * BODY_STREAM_PIECE_BYTES - 2000;
    WAIT_UNTIL(worker.written > before);
    body_stream_stop(worker.stream, BODY_STREAM_SLOW_CLIENT);
    WAIT_UNTIL(worker.ended);
    CHECK_TEXT(worker.refusal, "the client reads too slowly");
    CHECK(worker.written < 4 * BODY_STREAM_PIECE_BYTES);
    buffer_free(&piece);
    end(thread);
}

static void a_body_that_takes_too_long_ends(void) {
    struct body_stream_options of = options();
    of.deadline_us = clock_monotonic_us() + S / 20;
    pthread_t thread = begin(&of, MANY);
    WAIT_UNTIL(worker.ended); /* nobody takes its pieces */
    CHECK_TEXT(worker.refusal, "the stream takes longer than http.stream_timeout_ms allows");
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_TOO_SLOW);
    end(thread);
}

static void a_body_has_a_largest_size(void) {
    struct body_stream_options of = options();
    of.max_bytes = 10000;
    pthread_t thread = begin(&of, MANY);
    WAIT_UNTIL(worker.ended);
    CHECK_INT((int64_t)worker.written, 10000);
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_TOO_LARGE);
    CHECK(!body_stream_has_begun(worker.stream));
    end(thread);
}

static void a_short_body_is_collected(void) {
    struct body_stream_options of = options();
    struct body_stream *stream = body_stream_create(&of);
    CHECK(!body_stream_write(stream, slice_of("{\"a\":")));
    CHECK(!body_stream_write(stream, slice_of("1}")));
    CHECK_SLICE(body_stream_collected(stream), "{\"a\":1}");
    CHECK(!body_stream_has_begun(stream));
    body_stream_destroy(stream);
}

static void a_body_that_was_finished_can_still_be_lost(void) {
    struct body_stream_options of = options();
    pthread_t thread = begin(&of, BODY_STREAM_PIECE_BYTES + 5000);
    WAIT_UNTIL(worker.ended);
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_WHOLE);
    body_stream_stop(worker.stream, BODY_STREAM_CLIENT_LEFT);
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_CLIENT_LEFT);
    body_stream_stop(worker.stream, BODY_STREAM_STOPPED); /* the first reason counts */
    CHECK_INT(body_stream_state(worker.stream), BODY_STREAM_CLIENT_LEFT);
    end(thread);
}

static const struct test_case cases[] = {
    {"all parts arrive in chunks", all_parts_arrive_in_chunks},
    {"without chunks the bytes are sent as they are",
     without_chunks_the_bytes_are_sent_as_they_are},
    {"a compressed body is one gzip stream", a_compressed_body_is_one_gzip_stream},
    {"a worker waits for a slow client", a_worker_waits_for_a_slow_client},
    {"a body that takes too long ends", a_body_that_takes_too_long_ends},
    {"a body has a largest size", a_body_has_a_largest_size},
    {"a short body is collected", a_short_body_is_collected},
    {"a body that was finished can still be lost", a_body_that_was_finished_can_still_be_lost},
};

TEST_MAIN(cases)

/* Responses whose bodies workers make while loops write them, to many clients, of whom some leave.
 * Most useful under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/body_stream.h"
#include "http/endpoint.h"
#include "http/exchange.h"
#include "http/http_server.h"
#include "sockets.h"

#define CLIENTS 8
#define ROUNDS 30
#define PARTS 40
#define PART_BYTES 10000
#define BODY_BYTES (PARTS * PART_BYTES)

static struct http_server *server;
static _Atomic int whole, left, wrong;

static void on_begin(void *context) {
    struct exchange *exchange = context;
    exchange_begin_stream(exchange);
}

static void on_piece(void *context) {
    struct exchange *exchange = context;
    exchange->on_piece(exchange);
}

static void stream_body(void *context, struct exchange *exchange) {
    static char part[PART_BYTES];
    (void)context;
    const struct body_stream_options options = {.endpoint = exchange->endpoint,
                                                .method = exchange->request.method_name,
                                                .correlation_id = exchange->correlation_id,
                                                .deadline_us = exchange->deadline_us,
                                                .max_bytes = UINT64_MAX,
                                                .chunked = true,
                                                .context = exchange,
                                                .on_begin = on_begin,
                                                .on_piece = on_piece};
    struct body_stream *stream = body_stream_create(&options);
    const char *refusal = NULL;
    response_set_body_stream(&exchange->response, &exchange->request, 200, stream);
    for (int i = 0; i < PARTS && !refusal; i++) {
        refusal = body_stream_write(stream, (struct slice){part, sizeof part});
    }
    body_stream_finish(stream, refusal ? BODY_STREAM_FAILED : BODY_STREAM_WHOLE, refusal);
}

static void plan(void *context, struct exchange *exchange) {
    (void)context;
    exchange->endpoint = endpoint_of("stream");
    exchange->plan.carry_out = stream_body;
}

/* Reads up to the last chunk; the body has only NULs. The number of its NULs, or -1. */
static int read_body(int fd) {
    static const char end[] = "\r\n0\r\n\r\n";
    static const size_t end_len = sizeof end - 1;
    char bytes[16384 + 8];
    size_t kept = 0;
    int nuls = 0;
    for (;;) {
        ssize_t got = recv(fd, bytes + kept, sizeof bytes - kept, 0);
        if (got <= 0) {
            return -1;
        }
        for (ssize_t i = 0; i < got; i++) {
            nuls += bytes[kept + (size_t)i] == '\0';
        }
        size_t len = kept + (size_t)got;
        if (len >= end_len && memcmp(bytes + len - end_len, end, end_len) == 0) {
            return nuls;
        }
        kept = len < end_len ? len : end_len;
        memmove(bytes, bytes + len - kept, kept);
    }
}

static void *be_client(void *context) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    bool leaves = *(const bool *)context;
    char some[1000];
    int fd = -1;
    for (int i = 0; i < ROUNDS; i++) {
        fd = fd < 0 ? dial_port(http_server_port(server)) : fd;
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) {
            wrong++;
        } else if (leaves) {
            left += recv(fd, some, sizeof some, 0) > 0;
            close(fd);
            fd = -1;
        } else if (read_body(fd) == BODY_BYTES) {
            whole++;
        } else {
            wrong++;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

static void serves_those_that_stay_beside_those_that_leave(void) {
    static const bool leaves[] = {false, true};
    struct err err = {0};
    pthread_t clients[CLIENTS];
    log_configure(LOG_ERROR + 1, true);
    server = http_server_start(
        &(struct http_options){.address = {.settings = "http", .host = "127.0.0.1"},
                               .loops = 2,
                               .threads = 6,
                               .max_connections = 100,
                               .request_timeout_ms = 20000,
                               .keep_alive_timeout_ms = 5000,
                               .site = {NULL, plan}},
        &err);
    CHECK_OK(server != NULL, &err);
    http_server_accept(server);
    for (int i = 0; server && i < CLIENTS; i++) {
        CHECK_INT(pthread_create(&clients[i], NULL, be_client, (void *)&leaves[i % 2]), 0);
    }
    for (int i = 0; server && i < CLIENTS; i++) {
        pthread_join(clients[i], NULL);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(whole, CLIENTS / 2 * ROUNDS);
    CHECK_INT(left, CLIENTS / 2 * ROUNDS);
    CHECK(http_server_stop(server, INT64_MAX));
}

static const struct test_case cases[] = {
    {"serves those that stay beside those that leave",
     serves_those_that_stay_beside_those_that_leave},
};

TEST_MAIN(cases)

/* A server's listener while the process has no descriptors left. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "base/log_limit.h"
#include "captured.h"
#include "http/exchange.h"
#include "http/http_server.h"
#include "sockets.h"

static _Atomic bool descriptors_are_out;
static _Atomic int failures;

/* In place of the C library's. The program wants no address. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *len, int flags) {
    (void)address;
    (void)len;
    if (atomic_load(&descriptors_are_out)) {
        atomic_fetch_add(&failures, 1);
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, NULL, NULL, flags);
}

static void plan(void *context, struct exchange *exchange) {
    (void)context;
    response_set_error(&exchange->response, 404, "none");
}

static int lines_of(const char *log, const char *message) {
    int count = 0;
    while ((log = strstr(log, message))) {
        count++;
        log += strlen(message);
    }
    return count;
}

static void a_server_out_of_descriptors_says_so_at_a_bounded_rate_and_answers_later(void) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    struct err err = {0};
    char byte;
    atomic_store(&descriptors_are_out, true);
    captured_begin();
    int64_t began_us = clock_monotonic_us();
    struct http_server *server =
        http_server_start(&(struct http_options){.address = {"http", "127.0.0.1", 0},
                                                 .loops = 1,
                                                 .threads = 1,
                                                 .max_connections = 8,
                                                 .request_timeout_ms = 60000,
                                                 .keep_alive_timeout_ms = 60000,
                                                 .site = {NULL, plan}},
                          &err);
    CHECK_OK(server != NULL, &err);
    http_server_accept(server);
    int fd = dial_port(http_server_port(server));
    WAIT_UNTIL(atomic_load(&failures) > LOG_LIMIT_LINES + 2);
    int windows = 1 + (int)((clock_monotonic_us() - began_us) / LOG_LIMIT_WINDOW_US);
    int lines = lines_of(captured_take(), "HTTP server cannot accept connections");
    captured_end();
    CHECK(lines >= LOG_LIMIT_LINES && lines <= windows * LOG_LIMIT_LINES);
    atomic_store(&descriptors_are_out, false);
    CHECK(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    CHECK(recv(fd, &byte, 1, 0) == 1 && byte == 'H');
    close(fd);
    CHECK(http_server_stop(server, INT64_MAX));
}

static const struct test_case cases[] = {
    {"a server out of descriptors says so at a bounded rate and answers later",
     a_server_out_of_descriptors_says_so_at_a_bounded_rate_and_answers_later},
};

TEST_MAIN(cases)

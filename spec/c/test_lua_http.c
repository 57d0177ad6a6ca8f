/* http for scripts, with a server that sends the bytes of each case. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "sandbox.h"
#include "sockets.h"

/* Answers every request with `reply`, then repeats `filler` of `filler_bytes`. */
struct server {
    int socket;
    pthread_t thread;
    const char *reply;
    size_t filler_bytes;
    bool silent;            /* no answer at all */
    bool closes_after_each; /* the connection, without saying so */
    _Atomic int connections;
    char request[8192]; /* the last one */
    char url[64];
};

/* Reads one request, body included. False at the end of the connection. */
static bool read_request(struct server *server, int client) {
    char text[sizeof server->request];
    size_t len = 0, want = 0;
    do {
        ssize_t got = recv(client, text + len, sizeof text - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        want = end ? (size_t)(end - text) + 4 + (length ? (size_t)atoi(length + 16) : 0) : len + 1;
    } while (len < want);
    for (size_t i = 0; i < len; i++) {
        text[i] = text[i] ? text[i] : '0';
    }
    memcpy(server->request, text, len + 1);
    return true;
}

static void send_reply(const struct server *server, int client) {
    static const char filler[65536];
    ssize_t sent = send(client, server->reply, strlen(server->reply), MSG_NOSIGNAL);
    for (size_t left = server->filler_bytes; left > 0 && sent > 0; left -= (size_t)sent) {
        sent = send(client, filler, left < sizeof filler ? left : sizeof filler, MSG_NOSIGNAL);
    }
}

static void *serve(void *context) {
    struct server *server = context;
    for (;;) {
        int client = accept(server->socket, NULL, NULL);
        if (client < 0) {
            return NULL;
        }
        atomic_fetch_add(&server->connections, 1);
        while (read_request(server, client)) {
            if (!server->silent) {
                send_reply(server, client);
            }
            if (server->closes_after_each) {
                break;
            }
        }
        close(client);
    }
}

static void server_start(struct server *server) {
    int port;
    server->socket = listen_any(&port);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/path?q=1", port);
    CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
}

/* Runs one case in a fresh state; the text is valid until the next. */
static const char *ask(struct server *server, const char *name) {
    static struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.scripts.route_timeout_ms = 1000;
    server_start(server);
    if (sandbox_open(&sandbox)) {
        sandbox_call(&sandbox, "routes/http", name, server->url);
    }
    sandbox_close(&sandbox);
    shutdown(server->socket, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->socket);
    return sandbox.answer;
}

static void answers(void) {
    struct server server = {.reply = "HTTP/1.1 404 Not Here\r\nX-One:  a \r\nx-one: b\r\n"
                                     "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nEmpty:\r\n"
                                     "Content-Length: 4\r\n\r\nbody"};
    CHECK_TEXT(ask(&server, "get"),
               "{\"body\":\"body\",\"headers\":{\"content-length\":\"4\",\"empty\":\"\","
               "\"set-cookie\":[\"a=1\",\"b=2\"],\"x-one\":\"a, b\"},\"status\":404}");
    CHECK(strncmp(server.request, "GET /path?q=1 HTTP/1.1\r\n", 24) == 0);
    CHECK(strstr(server.request, "User-Agent: aggregator/"));
}

static void chunks(void) {
    struct server server = {.reply = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
                                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"};
    CHECK_TEXT(ask(&server, "get"), "{\"body\":\"abcde\",\"headers\":{\"transfer-encoding\":"
                                    "\"chunked\"},\"status\":200}");
}

static void sends(void) {
    struct server server = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    ask(&server, "post");
    CHECK(strncmp(server.request, "POST /path", 10) == 0);
    CHECK(strstr(server.request, "\r\nX-One: 1\r\n"));
    CHECK(strstr(server.request, "\r\nX-None:\r\n"));
    CHECK(strstr(server.request, "\r\nContent-Length: 3\r\n"));
    CHECK(strstr(server.request, "\r\n\r\na0b")); /* its NUL as 0 */
    CHECK(!strstr(server.request, "Content-Type"));
    CHECK(!strstr(server.request, "Expect"));
}

static void methods(void) {
    struct server server = {.reply = "HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n"};
    ask(&server, "delete");
    CHECK(strncmp(server.request, "DELETE /path", 12) == 0);
    CHECK(strstr(server.request, "\r\n\r\nx"));
    struct server other = {.reply = "HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n"};
    ask(&other, "empty_post");
    CHECK(strstr(other.request, "\r\nContent-Length: 0\r\n"));
    struct server head = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"};
    CHECK_TEXT(ask(&head, "head"),
               "{\"body\":\"\",\"headers\":{\"content-length\":\"5\"},\"status\":200}");
}

static void redirects(void) {
    struct server server = {.reply = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                                     "Content-Length: 0\r\n\r\n"};
    CHECK(strstr(ask(&server, "get"), "\"status\":302"));
}

static void keeps_connection(void) {
    struct server server = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"};
    ask(&server, "twice");
    CHECK_INT(atomic_load(&server.connections), 1);
}

static void stale_connection(void) {
    struct server server = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                            .closes_after_each = true};
    const char *text = ask(&server, "twice");
    CHECK(strstr(text, "}{") && !strstr(text, "kind"));
    CHECK_INT(atomic_load(&server.connections), 2);
}

static void own_timeout(void) {
    struct server server = {.reply = "", .silent = true};
    CHECK_HAS(ask(&server, "quick"), "\"kind\":\"timeout\"");
}

static void script_deadline(void) {
    struct server server = {.reply = "", .silent = true};
    const char *text = ask(&server, "get"); /* whichever of both clocks is first */
    CHECK(strstr(text, "took too long") || strstr(text, "\"kind\":\"timeout\""));
}

static void truncated(void) {
    struct server server = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                            .closes_after_each = true};
    CHECK(strstr(ask(&server, "get"), "\"kind\":\"unavailable\""));
    struct server none = {.reply = "", .closes_after_each = true};
    CHECK(strstr(ask(&none, "get"), "\"kind\":\"unavailable\""));
}

static void bounds(void) {
    enum { MIB = 1024 * 1024 };
    struct server exact = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n",
                           .filler_bytes = 8 * MIB};
    CHECK_TEXT(ask(&exact, "length"), "8388608");
    struct server stated = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n",
                            .filler_bytes = 8 * MIB + 1};
    CHECK_TEXT(ask(&stated, "get"), "{\"kind\":\"input\",\"message\":\"the body is over 8 MiB\"}");
    struct server unstated = {
        .reply = "HTTP/1.1 200 OK\r\n\r\n", .filler_bytes = 9 * MIB, .closes_after_each = true};
    CHECK_TEXT(ask(&unstated, "get"),
               "{\"kind\":\"input\",\"message\":\"the body is over 8 MiB\"}");
}

static void header_bounds(void) {
    struct buffer reply = {0};
    buffer_append_text(&reply, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 5000; i++) {
        buffer_append_format(&reply, "X-Header-%d: 0123456789\r\n", i);
    }
    buffer_append_text(&reply, "Content-Length: 0\r\n\r\n");
    struct server server = {.reply = reply.data};
    CHECK_TEXT(ask(&server, "get"),
               "{\"kind\":\"input\",\"message\":\"the headers are over 64 KiB\"}");
    buffer_free(&reply);
}

static const struct test_case cases[] = {
    {"gives status, headers and body", answers},
    {"reads chunks and skips interim responses", chunks},
    {"sends method, headers and body, and adds none", sends},
    {"knows methods with and without a body", methods},
    {"follows no redirect", redirects},
    {"keeps the connection for the next request", keeps_connection},
    {"opens a new connection if the server closed it", stale_connection},
    {"ends after timeout_ms", own_timeout},
    {"ends with the script's call", script_deadline},
    {"reports a truncated response", truncated},
    {"takes a body of 8 MiB and refuses a larger one", bounds},
    {"refuses headers over 64 KiB", header_bounds},
};
TEST_MAIN(cases)

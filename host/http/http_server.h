/* http_server: its sockets, threads and stop. A few event loops hold every connection; what its
 * site can answer without waiting is given there, all else by worker threads. A slow or silent
 * client costs memory, never a thread.
 *
 *   loop.c           one thread: epoll, deadlines, accepting
 *   connection.c     one client: bytes in, requests out of them, answers written
 *   workers.c        the threads that may wait for Redis, the database, a script
 *   exchange.c       from a request to its response; knows no socket
 *   api_site.c       the site of the API: routes, callers, cache, scripts
 *   builtin_paths.c  the paths of the program itself
 *   plan.h           what a site leaves over for a worker
 *   request.c, router.c, admission.c, vocabulary.c, response.c, etag.c, endpoint.c, error_log.c
 *                    what these need */
#ifndef AGG_HOST_HTTP_HTTP_SERVER_H
#define AGG_HOST_HTTP_HTTP_SERVER_H

#include <stdbool.h>

#include <stdint.h>

#include "base/err.h"

struct exchange; /* exchange.h */
struct http_server;

/* What a server says. */
struct site {
    void *context;
    /* Sets the exchange's endpoint, and its response or, where that would have to wait, its plan
     * (plan.h). Any loop's thread. */
    void (*plan)(void *context, struct exchange *exchange);
};

/* Names of fields that HTTP leaves to a service, of 64 bytes at most; NULL: it has none. */
struct http_headers {
    const char *api_key;
    const char *caller;
    const char *correlation_id; /* of requests and answers */
};

struct http_options {
    const char *settings; /* the section of config.lua, for errors */
    const char *host;
    int port; /* 0: a free one */
    int loops;
    int threads;
    int max_connections;
    int request_timeout_ms;
    int keep_alive_timeout_ms;
    struct site site;            /* outlives the server */
    struct http_headers headers; /* likewise */
};

struct http_server *http_server_start(const struct http_options *options, struct err *err);
int http_server_port(const struct http_server *server);
/* Takes no new connection, ends those that wait for a request, lets the requests under way be
 * answered, frees. False: one was not answered by the monotonic deadline. Then nothing is freed,
 * and whatever the site uses must stay. */
bool http_server_stop(struct http_server *server, int64_t deadline_us);

#endif

/* http_server: starts and stops a server's listener, event loops and worker threads. Loops hold the
 * connections and answer what needs no waiting; workers answer the rest. A slow or silent client
 * costs memory, never a thread.
 *
 *   loop.c           one thread: epoll, deadlines, accept
 *   connection.c     one client: reads requests, writes responses
 *   connection_body.c    receives the body of a request
 *   connection_stream.c  writes a response whose body is being made
 *   body_stream.c    such a body, between its worker and its loop
 *   body_memory.c    the memory of received bodies
 *   workers.c        threads that may wait for Redis, the database, a script
 *   live.c           readers of live routes, and the thread that asks for their answers
 *   exchange.c       from a request to its response; knows no socket
 *   api_site.c       the API: authentication, routes, cache
 *   api_scripts.c    what it keeps of a generation of scripts
 *   builtin_paths.c  /healthz, /metrics, /openapi.json
 *   api_description.c  the OpenAPI document
 *   plan.h           the part of a request that a worker carries out */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct exchange;     /* exchange.h */
struct certificates; /* certificates.h */
struct http_server;

/* Decides how a server answers. */
struct site {
    void *context;
    /* Sets the exchange's endpoint, and its response or, if that may wait, its plan (plan.h). Any
     * loop's thread. */
    void (*plan)(void *context, struct exchange *exchange);
};

/* Names of header fields, at most 64 bytes; NULL: the service has no such field. */
struct http_headers {
    const char *api_key;
    const char *caller;
    const char *correlation_id; /* in requests and responses */
};

struct http_address {
    const char *settings; /* section of config.lua, for errors */
    const char *host;
    int port; /* 0: any free port */
};

struct http_options {
    struct http_address address;
    int listener; /* of http_server_bind, or inherited; the server then owns it. 0: it binds one */
    int loops;
    int threads;
    int max_connections;
    int live_heartbeat_ms;
    int request_timeout_ms;
    int request_bodies_max_mb; /* 0: the site accepts no bodies */
    int slow_request_ms;       /* requests that take as long are logged; 0: none */
    int keep_alive_timeout_ms; /* 0: each response closes its connection */
    int handshake_timeout_ms;
    int max_handshakes;
    struct certificates *certificates; /* NULL: without TLS; outlives the server */
    struct site site;                  /* likewise */
    struct http_headers headers;       /* likewise */
};

/* A socket that is bound and does not listen yet: clients are refused, as they are without it. -1:
 * the address cannot be had, mostly because another process listens there. */
int http_server_bind(const struct http_address *address, struct err *err);
/* Listens; http_server_accept lets clients in. */
struct http_server *http_server_start(const struct http_options *options, struct err *err);
int http_server_port(const struct http_server *server);
/* The listening socket, until the server drains. */
int http_server_listener(const struct http_server *server);
/* Begins to accept. Once. */
void http_server_accept(struct http_server *server);
/* Wakes the loops. False: one has not turned since the call before. One thread at a time. */
bool http_server_poke(struct http_server *server);

/* How a server ends. */
struct http_end {
    bool hands_over;  /* another process has the listening socket and accepts from it */
    int64_t until_us; /* monotonic: connections that wait for their client are closed then */
};
/* Begins the end, once: stops accepting; each response says `Connection: close` and is the last of
 * its connection; a connection without a request ends after its time limit (keep_alive_timeout_ms,
 * request_timeout_ms), so that a request on its way is answered. Does not wait. */
void http_server_drain(struct http_server *server, const struct http_end *end);
/* False: connections are left at the monotonic deadline. NULL is allowed. */
bool http_server_await_end(struct http_server *server, int64_t deadline_us);
/* Waits for the end, which begins now with until_us 0 if it has not begun, and frees. False: a
 * request was not answered by the monotonic deadline; nothing is freed, and what the site uses must
 * stay. */
bool http_server_stop(struct http_server *server, int64_t deadline_us);

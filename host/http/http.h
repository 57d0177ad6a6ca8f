/* http: the server. A few event loops hold every connection; answers from the process' cache are
 * given there, all others by worker threads. A slow or silent client costs memory, never a thread.
 *
 *   loop.c        one thread: epoll, deadlines, accepting
 *   connection.c  one client: bytes in, requests out of them, answers written
 *   workers.c     the threads that may wait for Redis, the database, a script
 *   service.c     from a request to its reply; knows no socket
 *   own.c         the host's own paths
 *   request.c, values.c, router.c, reply.c, auth.c, endpoint.c   what these need */
#ifndef AGG_HOST_HTTP_HTTP_H
#define AGG_HOST_HTTP_HTTP_H

#include "../cache/cache.h"
#include "../config.h"
#include "../health.h"
#include "../script/script.h"

struct http_server;

struct http_options {
    const struct config *config;
    struct cache *cache;
    struct script_pool *pool;
    struct health *health;
};

/* Everything in options must outlive the server. */
struct http_server *http_start(const struct http_options *options, struct err *err);
int http_port(const struct http_server *server);
/* Takes no new connection, ends those that wait for a request, lets the requests under way be
 * answered, frees. */
void http_stop(struct http_server *server);

#endif

/* http: the server. One civetweb worker thread a connection; answers from the cache never touch
 * Lua or the database. */
#ifndef AGG_HOST_HTTP_HTTP_H
#define AGG_HOST_HTTP_HTTP_H

#include "../buffer.h"
#include "../cache/cache.h"
#include "../config.h"
#include "../script/script.h"

struct http_server;

struct http_options {
    const struct config *config;
    struct cache *cache;
    struct script_pool *pool;
    /* Appends `"name":{"status":…},…` of the dependencies; true when all are there. Any thread. */
    bool (*ready)(void *context, struct buffer *json);
    void *ready_context;
};

/* Everything in options must outlive the server. */
struct http_server *http_start(const struct http_options *options, struct err *err);
int http_port(const struct http_server *server);
/* Stops accepting, waits for the requests under way, frees. */
void http_stop(struct http_server *server);

#endif

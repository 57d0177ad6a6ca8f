/* http_client: one libcurl handle, its connections kept for the next request. One thread at a time.
 * Only http and https, no redirect is followed, the whole exchange has one deadline, the answer has
 * bounds. Proxies are taken from the environment, as curl does. Knows no Lua. */
#ifndef AGG_BINDINGS_HTTP_CLIENT_H
#define AGG_BINDINGS_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

#define HTTP_CLIENT_MAX_BODY_BYTES (8 * 1024 * 1024)
#define HTTP_CLIENT_MAX_HEADER_BYTES (64 * 1024)

struct http_client;

struct http_client_request {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers; /* "name: value", checked by the caller to hold no line break */
    size_t header_count;
    struct slice body; /* data NULL: none */
    int timeout_ms;    /* at least 1 */
};

/* Valid until the next request. */
struct http_client_answer {
    int status;
    struct slice headers; /* "name: value\n" each, as they came, of the last answer */
    struct slice body;
};

struct http_client *http_client_create(void);
void http_client_destroy(struct http_client *client);
bool http_client_run(struct http_client *client, const struct http_client_request *request,
                     struct http_client_answer *answer, struct err *err);

#endif

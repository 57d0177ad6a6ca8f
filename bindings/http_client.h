/* http_client: one libcurl handle with keep-alive connections. Only http and https; follows no
 * redirects; one deadline for the exchange; limits of the response; curl's proxy variables. One
 * thread at a time. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

#define HTTP_CLIENT_MAX_BODY_BYTES (8 * 1024 * 1024)
#define HTTP_CLIENT_MAX_HEADER_BYTES (64 * 1024)

struct http_client;

struct http_client_request {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers; /* "name: value"; the caller checks them for line breaks */
    size_t header_count;
    struct slice body;  /* data NULL: none */
    int timeout_ms;     /* at least 1 */
    const char *tls_ca; /* PEM file of CAs for https; NULL and "": the system's */
};

/* Valid until the next request. */
struct http_client_response {
    int status;
    struct slice headers; /* "name: value\n" each, in order, of the final response */
    struct slice body;
};

struct http_client *http_client_create(void);
void http_client_destroy(struct http_client *client);
bool http_client_run(struct http_client *client, const struct http_client_request *request,
                     struct http_client_response *response, struct err *err);

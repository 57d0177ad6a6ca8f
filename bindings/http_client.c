#include "http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define CA_SECONDS 10L /* between two reads of the CA file: it may be replaced */

struct http_client {
    CURL *easy;
    struct buffer headers;
    struct buffer body;
    const char *too_large; /* the error, after a limit was exceeded */
    char error[CURL_ERROR_SIZE];
};

static void http_client_init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_create(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, http_client_init_curl);
    struct http_client *client = xcalloc(1, sizeof *client);
    client->easy = curl_easy_init();
    return client;
}

void http_client_destroy(struct http_client *client) {
    if (!client) {
        return;
    }
    curl_easy_cleanup(client->easy);
    buffer_free(&client->headers);
    buffer_free(&client->body);
    free(client);
}

static size_t http_client_take_body(char *data, size_t size, size_t count, void *context) {
    struct http_client *client = context;
    if (client->body.len + size * count > HTTP_CLIENT_MAX_BODY_BYTES) {
        client->too_large = "the body is over 8 MiB";
        return 0;
    }
    buffer_append(&client->body, data, size * count);
    return size * count;
}

/* A status line starts a new response: those before were interim ones (100, 103). */
static size_t http_client_take_header(char *data, size_t size, size_t count, void *context) {
    struct http_client *client = context;
    size_t len = size * count;
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n')) {
        len--;
    }
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        buffer_clear(&client->headers);
    } else if (client->headers.len + len > HTTP_CLIENT_MAX_HEADER_BYTES) {
        client->too_large = "the headers are over 64 KiB";
        return 0;
    } else if (len > 0) {
        buffer_append(&client->headers, data, len);
        buffer_append(&client->headers, "\n", 1);
    }
    return size * count;
}

/* The caller's headers, without those that curl would add for a body. */
static struct curl_slist *http_client_list_headers(const struct http_client_request *request) {
    struct curl_slist *list = NULL;
    bool typed = false;
    for (size_t i = 0; i < request->header_count; i++) {
        list = curl_slist_append(list, request->headers[i]);
        typed = typed || strncasecmp(request->headers[i], "content-type:", 13) == 0;
    }
    list = curl_slist_append(list, "Expect:");
    return typed ? list : curl_slist_append(list, "Content-Type:");
}

static void http_client_set_options(struct http_client *client,
                                    const struct http_client_request *request,
                                    struct curl_slist *headers) {
    CURL *easy = client->easy;
    curl_easy_reset(easy); /* keeps the connections */
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a lookup that hangs is left behind */
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)HTTP_CLIENT_MAX_BODY_BYTES);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "aggregator/" AGGREGATOR_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_client_take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_client_take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, client);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (request->tls_ca && request->tls_ca[0]) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->tls_ca);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* no CA of the system beside it */
        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_SECONDS);
    }
    if (request->body.data) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    } else if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static enum err_kind http_client_error_kind(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_WRITE_ERROR: /* from our callbacks: a limit was exceeded */
        return ERR_INPUT;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return ERR_INTERNAL;
    default:
        return ERR_UNAVAILABLE;
    }
}

static bool http_client_fail(const struct http_client *client, CURLcode code, struct err *err) {
    const char *reason = client->error[0] ? client->error : curl_easy_strerror(code);
    if (client->too_large || code == CURLE_FILESIZE_EXCEEDED) {
        reason = client->too_large ? client->too_large : "the body is over 8 MiB";
    }
    return err_set(err, http_client_error_kind(code), "%s", reason);
}

bool http_client_run(struct http_client *client, const struct http_client_request *request,
                     struct http_client_response *response, struct err *err) {
    if (!client->easy) {
        return err_set(err, ERR_INTERNAL, "cannot initialize curl");
    }
    struct curl_slist *headers = http_client_list_headers(request);
    buffer_clear(&client->headers);
    buffer_clear(&client->body);
    client->too_large = NULL;
    client->error[0] = '\0';
    http_client_set_options(client, request, headers);
    CURLcode code = curl_easy_perform(client->easy);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        return http_client_fail(client, code, err);
    }
    long status = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    *response = (struct http_client_response){(int)status, buffer_slice(&client->headers),
                                              buffer_slice(&client->body)};
    return true;
}

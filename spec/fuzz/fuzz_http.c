/* The request path up to the script: any bytes are a request head or are refused, and what is made
 * of them keeps its promises. Build with -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>

#include "http/accept.h"
#include "http/authority.h"
#include "http/response.h"
#include "http/request.h"
#include "http/request_body.h"
#include "http/router.h"
#include "http/etag.h"
#include "base/utf8.h"

static const char *const status_paths[] = {"/internal/v1/batches/{batch_id}/status",
                                           "/batches/{batch_id}/status"};
static const char *const user_paths[] = {"/internal/v1/batches/user/{user_id}"};
static const char *const two_paths[] = {"/a/{b}/c/{d}", "/{anything}"};
static const struct script_route routes[] = {
    {.method = "GET", .paths = status_paths, .path_count = 2},
    {.method = "GET", .paths = user_paths, .path_count = 1},
    {.method = "POST", .paths = two_paths, .path_count = 2},
};

static void want(bool promise) {
    if (!promise) {
        abort();
    }
}

/* Decoded text is UTF-8 without control characters. */
static void check_text(struct slice text) {
    for (size_t i = 0, step; i < text.len; i += step) {
        step = utf8_sequence(text.data + i, text.len - i);
        want(step > 0 && (unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7F);
    }
}

static void check_pairs(const struct router_pairs *pairs) {
    want(pairs->count <= ROUTER_MAX_PAIRS && pairs->used <= sizeof pairs->bytes);
    for (size_t i = 0; i < pairs->count; i++) {
        check_text(pairs->items[i].name);
        check_text(pairs->items[i].value);
    }
}

/* No byte of a field can end a line of an answer's head or of the log. */
static void check_fields(const struct request *request) {
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        for (size_t b = 0; b < request->fields[i].len; b++) {
            char c = request->fields[i].data[b];
            want(c != '\r' && c != '\n' && c != '\0');
        }
    }
}

static void check_response(const struct request *request) {
    struct slice given = request->fields[FIELD_CORRELATION_ID];
    char id[CORRELATION_MAX_BYTES + 1] = "made-up", head[RESPONSE_HEAD_BYTES + 1];
    if (given.data && correlation_id_acceptable(given)) {
        memcpy(id, given.data, given.len);
        id[given.len] = '\0';
    }
    struct response response = {.correlation_name = "X-Correlation-ID"};
    response_set(&response, request, cached_response_create(200, slice_of("{}")),
                 "application/json");
    size_t len = response_format_head(&response, id, "Thu, 01 Jan 1970 00:00:00 GMT", head);
    want(len < RESPONSE_HEAD_BYTES);
    head[len] = '\0';
    want(strstr(head, "\r\n\r\n") == head + len - 4);
    cached_response_unref(response.cached);
}

/* A body that is accepted has one length, within the bounds, and no coding. */
static void check_body(struct request *request) {
    static const struct script_body body = {.content_type = "application/json", .max_bytes = 1000};
    struct response response = {0};
    struct slice lines = request->lines, name, value;
    if (request_body_fits(request, &body, &response)) {
        want(request->body_bytes <= body.max_bytes);
        want(request_header(request, "content-length", &value) == 1);
        want(request_header(request, "transfer-encoding", &value) == 0);
        want(request_header(request, "content-encoding", &value) == 0);
    } else {
        want(response.status == 411 || response.status == 413 || response.status == 415);
        want(!request->keep_alive || !request->has_body);
        cached_response_unref(response.cached);
    }
    for (size_t left = REQUEST_MAX_FIELDS; request_next_header(&lines, &name, &value); left--) {
        want(left > 0 && name.len > 0);
    }
}

static void serve(struct slice head) {
    static struct router_match match;
    static struct router_pairs query;
    struct request request;
    struct refusal refusal = {0};
    struct request_names names =
        request_names("X-Internal-API-Key", "X-Service-ID", "X-Correlation-ID");
    if (!request_parse(head, &names, &request, &refusal)) {
        want(refusal.status >= 400 && refusal.message);
        return;
    }
    want(!request.has_body || !request.keep_alive);
    want(request.has_body == (request.body_bytes > 0));
    want(!request.fields[FIELD_TRANSFER_ENCODING].data);
    check_fields(&request);
    enum router_result result =
        router_find(routes, sizeof routes / sizeof *routes, &request, &match);
    if (result == ROUTER_FOUND) {
        want(match.params.count > 0);
        check_pairs(&match.params);
    }
    if (!router_parse_query(request.query, &query)) {
        check_pairs(&query);
    }
    check_response(&request);
    check_body(&request);
}

/* Byte by byte and at once, the same end is found. */
static size_t scan(struct slice bytes, bool *bad) {
    bool bad_at_once;
    size_t at_once = bytes.len ? request_scan(bytes, 0, &bad_at_once) : 0, len = 0;
    for (size_t from = 0; from < bytes.len && len == 0; from++) {
        len = request_scan((struct slice){bytes.data, from + 1}, from, bad);
    }
    want(len == at_once && (len == 0 || *bad == bad_at_once));
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A copy of exactly that size, so that reading past it is seen. */
    char *copy = malloc(size + 1);
    struct slice bytes = {copy, size};
    bool bad = false;
    memcpy(copy, data, size);
    copy[size] = '\0';
    size_t len = scan(bytes, &bad);
    if (len > 0 && !bad) {
        char *head = malloc(len);
        memcpy(head, copy, len);
        serve((struct slice){head, len});
        free(head);
    }
    if (authority_is_valid(bytes)) { /* it could stand in a URI: nothing ends it there */
        for (size_t i = 0; i < size; i++) {
            want(!memchr("/?#@\\\"<>", copy[i], 8) && copy[i] > 0x20 && copy[i] != 0x7F);
        }
    }
    etag_listed(bytes, "\"0123456789abcdef\"");
    want(accept_quality(bytes, "gzip") <= 1000 && accept_quality(bytes, "gzip") >= -1);
    if (correlation_id_acceptable(bytes)) {
        check_text(bytes);
    }
    free(copy);
    return 0;
}

/* request: parses an HTTP/1.x request head (RFC 9112). Pure: no allocation, no I/O; slices point
 * into the given bytes. Refuses what a proxy could read in another way: bare line feeds, folded
 * lines, two lengths, a transfer coding. A body has a Content-Length and follows the head. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

#define REQUEST_MAX_HEAD_BYTES 16384
#define REQUEST_MAX_TARGET_BYTES 8192
#define REQUEST_MAX_FIELDS 64
#define CORRELATION_MAX_BYTES 128

enum request_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OTHER,
    METHOD_COUNT
};

/* The header fields that the server reads; of others it checks the syntax only. */
enum request_field {
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_EXPECT,
    FIELD_IF_NONE_MATCH,
    FIELD_AUTHORIZATION,
    FIELD_API_KEY,
    FIELD_CALLER,
    FIELD_CORRELATION_ID,
    FIELD_TRACEPARENT,
    FIELD_ACCEPT_ENCODING,
    FIELD_COOKIE,
    FIELD_ORIGIN,
    FIELD_LAST_EVENT_ID,
    FIELD_FETCH_SITE, /* Sec-Fetch-Site, of Fetch Metadata (W3C) */
    FIELD_COUNT
};

/* Names of the fields; data NULL: unused. */
struct request_names {
    struct slice of[FIELD_COUNT];
};

/* HTTP's own names and these; NULL: unused. Borrows the texts. */
struct request_names request_names(const char *api_key, const char *caller,
                                   const char *correlation_id);

/* The response to bytes that are no valid request. */
struct refusal {
    int status;
    const char *message; /* a literal */
};

extern const char *const request_method_names[METHOD_COUNT]; /* of METHOD_OTHER: "other" */

struct request {
    struct slice method_name;
    enum request_method method;
    struct slice path;                /* percent-encoded; "*" only with OPTIONS */
    struct slice query;               /* without '?'; data NULL where there is none */
    struct slice fields[FIELD_COUNT]; /* trimmed; data NULL where absent */
    struct slice lines;               /* the header lines once all are valid */
    bool is_1_0;                      /* HTTP/1.0: connections end by default */
    bool keep_alive; /* the connection may carry another request; false with a body, until it is
                        read */
    bool keep_alive_after_body;
    bool has_body;
    uint64_t body_bytes; /* UINT64_MAX: as many or more */
};

/* GET or HEAD. */
static inline bool request_reads(const struct request *request) {
    return request->method == METHOD_GET || request->method == METHOD_HEAD;
}

/* Finds the end of a head that begins at bytes.data[0]; an earlier call has scanned the bytes
 * before `from`. Returns the head's length with its empty line; 0: incomplete. A line feed without
 * a carriage return ends the head with *bad set. */
size_t request_scan(struct slice bytes, size_t from, bool *bad);

/* Parses a head that request_scan found. False: the refusal is set, the request has what was parsed
 * before the error, and the connection must be closed. */
bool request_parse(struct slice head, const struct request_names *names, struct request *request,
                   struct refusal *refusal);

/* How many header lines have the name, in any case; *value: of the first. */
size_t request_header(const struct request *request, const char *name, struct slice *value);

/* Cuts the next header line off `lines` of a parsed request; its value is trimmed. False: none is
 * left. */
bool request_next_header(struct slice *lines, struct slice *name, struct slice *value);

/* True for 1 to 128 bytes of printable ASCII: safe in a header and in a log line. */
bool correlation_id_acceptable(struct slice text);

/* The head is longer than REQUEST_MAX_HEAD_BYTES: 414 or 431. */
struct refusal request_too_large(struct slice bytes);

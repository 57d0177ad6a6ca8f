/* request: parses an HTTP/1.x request head (RFC 9112). Pure: no allocation, no I/O; slices point
 * into the given bytes. Refuses what a proxy could read in another way: bare line feeds, folded
 * lines, two lengths, a transfer coding. */
#pragma once

#include "base/slice.h"

#define REQUEST_MAX_HEAD_BYTES 16384
#define REQUEST_MAX_TARGET_BYTES 8192
#define REQUEST_MAX_FIELDS 64
#define CORRELATION_MAX_BYTES 128

enum request_method { METHOD_GET, METHOD_HEAD, METHOD_OTHER, METHOD_COUNT };

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
    FIELD_COOKIE,
    FIELD_ORIGIN,
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

struct request {
    struct slice method_name;
    enum request_method method;
    struct slice path;                /* percent-encoded; "*" only with OPTIONS */
    struct slice query;               /* without '?'; data NULL where there is none */
    struct slice fields[FIELD_COUNT]; /* trimmed; data NULL where absent */
    bool is_1_0;                      /* HTTP/1.0: connections end by default */
    bool keep_alive;                  /* the connection may carry another request */
    bool has_body;
};

/* Finds the end of a head that begins at bytes.data[0]; an earlier call has scanned the bytes
 * before `from`. Returns the head's length with its empty line; 0: incomplete. A line feed without
 * a carriage return ends the head with *bad set. */
size_t request_scan(struct slice bytes, size_t from, bool *bad);

/* Parses a head that request_scan found. False: the refusal is set, the request has what was parsed
 * before the error, and the connection must be closed. */
bool request_parse(struct slice head, const struct request_names *names, struct request *request,
                   struct refusal *refusal);

/* True for 1 to 128 bytes of printable ASCII: safe in a header and in a log line. */
bool correlation_id_acceptable(struct slice text);

/* The head is longer than REQUEST_MAX_HEAD_BYTES: 414 or 431. */
struct refusal request_too_large(struct slice bytes);

/* request: one HTTP/1.x request head, read strictly (RFC 9112). Pure: no allocation, no I/O; slices
 * point into the bytes given. What a proxy could read in another way (bare line feeds, folded
 * lines, two lengths, a transfer coding) is refused rather than guessed at. */
#ifndef AGG_HOST_HTTP_REQUEST_H
#define AGG_HOST_HTTP_REQUEST_H

#include "base/slice.h"

#define REQUEST_MAX_HEAD_BYTES 16384
#define REQUEST_MAX_TARGET_BYTES 8192
#define REQUEST_MAX_FIELDS 64
#define CORRELATION_MAX_BYTES 128

enum request_method { METHOD_GET, METHOD_HEAD, METHOD_OTHER, METHOD_COUNT };

/* The header fields that the server reads; all others are checked for form only. */
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
    FIELD_COUNT
};

/* What the fields are called; data NULL for one that no request has. */
struct request_names {
    struct slice of[FIELD_COUNT];
};

/* The names of HTTP, and these of the service; NULL: it has no such field. Borrows the texts. */
struct request_names request_names(const char *api_key, const char *caller,
                                   const char *correlation_id);

/* Why a request is answered without being looked at further. */
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
    bool is_1_0;                      /* HTTP/1.0: connections end unless both sides say other */
    bool keep_alive;                  /* the client takes another answer on this connection */
    bool has_body;
};

/* Looks for the end of a head whose first byte is bytes.data[0]; bytes before `from` were looked at
 * by an earlier call. Returns the head's length with its empty line, or 0 when more must come. A
 * line feed without carriage return ends the head too (with *bad set): nothing good can follow. */
size_t request_scan(struct slice bytes, size_t from, bool *bad);

/* Parses a head that request_scan found. On false the refusal is filled and the connection is of no
 * more use; the request then holds what was read before the fault. */
bool request_parse(struct slice head, const struct request_names *names, struct request *request,
                   struct refusal *refusal);

/* True for 1 to 128 bytes of printable ASCII: fit to be sent back and to stand in a log line. */
bool correlation_id_acceptable(struct slice text);

/* Room is used up and the head has not ended: 414 or 431. */
struct refusal request_too_large(struct slice bytes);

#endif

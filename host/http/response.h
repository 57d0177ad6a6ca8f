/* response: what goes back to a client, and the head it is sent under. */
#ifndef AGG_HOST_HTTP_RESPONSE_H
#define AGG_HOST_HTTP_RESPONSE_H

#include "cache/cache.h"
#include "request.h"
#include "unavailable.h"

#define RESPONSE_ALLOW_BYTES 64

struct response {
    struct answer *answer; /* owned: the body, its ETag */
    int status;            /* the answer's, or 304 */
    const char *content_type;
    const char *message;          /* of an error that the host made: a literal; else NULL */
    enum unavailable unavailable; /* with 503: why */
    const char *challenge;        /* with 401: what lets a client in; NULL: not said */
    const char *correlation_name; /* of the field with the correlation id; NULL: there is none */
    char allow[RESPONSE_ALLOW_BYTES]; /* with 405 and OPTIONS: "GET, HEAD"; "" = none */
    bool has_etag; /* may be kept by the client, and asked for again with If-None-Match */
    bool head_only;
    bool close;            /* the connection ends after it */
    bool sends_keep_alive; /* else a client of HTTP/1.0 would take it to end */
};

/* Longer than any head: correlation id, challenge, ETag, Allow and the names are bounded. */
#define RESPONSE_HEAD_BYTES 1024
#define RESPONSE_DATE_BYTES 32

/* Sets status and body; takes the reference. A 200 gets an ETag, and becomes a 304 where the
 * request names it. */
void response_set(struct response *response, const struct request *request, struct answer *answer,
                  const char *content_type);
/* The same for what is true at this moment only: no ETag. */
void response_set_momentary(struct response *response, struct answer *answer,
                            const char *content_type);
/* {"error":"…"}; the message is a literal. */
void response_set_error(struct response *response, int status, const char *message);
/* The 503 of a reason that has a message. */
void response_set_unavailable(struct response *response, enum unavailable reason);
/* The 405 of a path that takes other methods: "GET, HEAD". */
void response_set_wrong_method(struct response *response, const char *allow);
/* The 204 of `OPTIONS *` (RFC 9110 9.3.7). */
void response_set_options(struct response *response, const char *allow);
/* The 413 of a request with a body: nothing here takes one. */
void response_set_body_refused(struct response *response);

/* Formats status line and headers with the empty line; returns the length. `date` is an IMF-fixdate
 * (response_format_date). */
size_t response_format_head(const struct response *response, const char *correlation_id,
                            const char *date, char out[RESPONSE_HEAD_BYTES]);
/* The bytes that follow the head: none for HEAD and 304. */
struct slice response_body(const struct response *response);
void response_format_date(int64_t wall_us, char out[RESPONSE_DATE_BYTES]);

#endif

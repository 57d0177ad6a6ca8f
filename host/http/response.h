/* response: status, headers and body for a client. */
#pragma once

#include "cache/cache.h"
#include "request.h"
#include "unavailable.h"

struct body_stream;
struct live_reader;

#define RESPONSE_ALLOW_BYTES 64
#define RESPONSE_COOKIE_BYTES 192

struct response {
    struct cached_response *cached; /* owned: body and ETag */
    int status;                     /* of the body, or 304 */
    const char *content_type;
    const char *message;          /* of an error that the host made, a literal; else NULL */
    enum unavailable unavailable; /* the reason for a 503 */
    const char *challenge;        /* WWW-Authenticate of a 401; NULL: none */
    const char *lines;            /* further header lines, each with CRLF, a literal; or NULL */
    char *own_lines; /* owned: those of the route, each with CRLF; or NULL. They follow the head */
    bool own_content_type, own_cache_control, own_retry_after; /* which replace the standard ones */
    int retry_after_s;                                         /* of a 429; 0: 1 */
    char cookie[RESPONSE_COOKIE_BYTES];                        /* Set-Cookie; "": none */
    const char *correlation_name;     /* the header for the correlation id; NULL: none */
    char allow[RESPONSE_ALLOW_BYTES]; /* of 405 and OPTIONS: "GET, HEAD"; "": none */
    bool is_stream;                   /* of unknown length: no Content-Length */
    bool chunked;                     /* a stream whose end is marked */
    bool gzip_stream;                 /* a stream that is compressed */
    struct body_stream *body_stream;  /* owned: makes the body; NULL: there is a whole one */
    struct live_reader *live;         /* owned: watches once the head is written; NULL: none */
    struct slice gzip;                /* the body as it is sent; data NULL: uncompressed */
    bool varies;                      /* with the request's Accept-Encoding */
    const char *vary;                 /* and with these headers; NULL: none */
    const char *cache_control;        /* of a cached response; NULL: the standard one */
    int64_t age_s;                    /* of a response with cache_control */
    bool weak_etag;                   /* the bytes depend on it, too */
    bool has_etag;                    /* the client may cache it and send If-None-Match */
    bool head_only;
    bool close;            /* the connection closes after it */
    bool sends_keep_alive; /* HTTP/1.0 closes by default */
};

/* Longer than any head: all variable parts are bounded. */
#define RESPONSE_HEAD_BYTES 1920
#define RESPONSE_DATE_BYTES 32

/* Takes the reference. A 200 gets an ETag, and becomes a 304 if the request has that ETag. */
void response_set(struct response *response, const struct request *request,
                  struct cached_response *cached, const char *content_type);
/* What the head of a cached 200 or its 304 says of caching. The texts are the route's, or NULL. */
void response_set_caching(struct response *response, const char *vary, const char *cache_control,
                          int64_t age_us);
/* The same without an ETag, for what is true at this moment only. */
void response_set_momentary(struct response *response, struct cached_response *cached,
                            const char *content_type);
/* {"error":"…"}; the message is a literal. */
void response_set_error(struct response *response, int status, const char *message);
/* The same with a message for the client alone, not for the log: it quotes the request. `logged` is
 * a literal. */
void response_set_refused(struct response *response, int status, const char *message,
                          const char *logged);
/* A 503; the reason must have a message. */
void response_set_unavailable(struct response *response, enum unavailable reason);
/* A 429. */
void response_set_too_many(struct response *response, int retry_after_s);
/* A 405. allow: "GET, HEAD" */
void response_set_wrong_method(struct response *response, const char *allow);
/* The 204 for `OPTIONS *` (RFC 9110 9.3.7). */
void response_set_options(struct response *response, const char *allow);
/* A stream of events (text/event-stream) for the reader, which it takes; NULL: a HEAD. */
void response_set_stream(struct response *response, struct live_reader *reader);
/* A body of unknown length, in chunks unless the request is of HTTP/1.0; NULL: a HEAD. Takes the
 * stream. */
void response_set_body_stream(struct response *response, const struct request *request, int status,
                              struct body_stream *stream);
/* The 413 for a request with a body: no route accepts one. */
void response_set_body_refused(struct response *response);

/* The reason phrase of a status; "": unknown. A literal. */
const char *response_phrase(int status);

/* Releases what it owns. */
void response_release(struct response *response);

/* Formats the head; returns the length. The head ends with an empty line, or response_tail follows
 * it. */
size_t response_format_head(const struct response *response, const char *correlation_id,
                            const char *date, char out[RESPONSE_HEAD_BYTES]);
/* The rest of the head, with its empty line: the route's own headers; empty where there are none.
 */
struct slice response_tail(const struct response *response);
/* Empty for HEAD and 304. */
struct slice response_body(const struct response *response);
/* An IMF-fixdate (RFC 9110 5.6.7). */
void response_format_date(int64_t wall_us, char out[RESPONSE_DATE_BYTES]);

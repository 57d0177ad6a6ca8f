#include "response.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "base/number.h"
#include "body_stream.h"
#include "etag.h"

#define JSON "application/json"
#define RETRY_AFTER_S 1

const char *response_phrase(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {205, "Reset Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return ""; /* another status of a script: the phrase may be empty (RFC 9112 4) */
}

/* RFC 9110: these statuses have no body. 204 and 304 must not have Content-Length; 205 needs a
 * length of 0, or the client waits for the connection's end. */
static bool response_is_bodyless(int status) {
    return status == 204 || status == 205 || status == 304;
}

void response_set_momentary(struct response *response, struct cached_response *cached,
                            const char *content_type) {
    response->cached = cached;
    response->status = cached->status;
    response->content_type = content_type;
}

void response_set(struct response *response, const struct request *request,
                  struct cached_response *cached, const char *content_type) {
    struct slice wanted = request->fields[FIELD_IF_NONE_MATCH];
    response_set_momentary(response, cached, content_type);
    response->has_etag = cached->status == 200;
    if (response->has_etag && wanted.data && etag_listed(wanted, cached->etag)) {
        response->status = 304;
    }
}

void response_set_caching(struct response *response, const char *vary, const char *cache_control,
                          int64_t age_us) {
    if (response->has_etag) {
        response->vary = vary;
        response->cache_control = cache_control;
        response->age_s = age_us > 0 ? age_us / 1000000 : 0;
    }
}

void response_set_error(struct response *response, int status, const char *message) {
    struct buffer body = {0};
    buffer_append_text(&body, "{\"error\":");
    buffer_append_json_string(&body, slice_of(message));
    buffer_append_text(&body, "}");
    response_set_momentary(response, cached_response_create(status, buffer_slice(&body)), JSON);
    response->message = message;
    buffer_free(&body);
}

void response_set_refused(struct response *response, int status, const char *message,
                          const char *logged) {
    response_set_error(response, status, message);
    response->message = logged;
}

void response_set_unavailable(struct response *response, enum unavailable reason) {
    response_set_error(response, 503, unavailable_message(reason));
    response->unavailable = reason;
}

void response_set_too_many(struct response *response, int retry_after_s) {
    response_set_error(response, 429, "Too many requests");
    response->retry_after_s = retry_after_s;
}

void response_set_wrong_method(struct response *response, const char *allow) {
    snprintf(response->allow, RESPONSE_ALLOW_BYTES, "%s", allow);
    response_set_error(response, 405, "Method not allowed");
}

void response_set_options(struct response *response, const char *allow) {
    snprintf(response->allow, RESPONSE_ALLOW_BYTES, "%s", allow);
    response_set_momentary(response, cached_response_create(204, slice_of("")), JSON);
}

/* The delay of a client that comes again, with its unit, milliseconds. */
#define STREAM_BEGIN "retry: 2000\n\n"

void response_set_stream(struct response *response, struct live_reader *reader) {
    struct cached_response *begin = cached_response_create(200, slice_of(STREAM_BEGIN));
    response_set_momentary(response, begin, "text/event-stream");
    response->is_stream = true;
    response->live = reader;
    response->lines = "X-Accel-Buffering: no\r\n"; /* nginx would hold the events back */
}

void response_set_body_stream(struct response *response, const struct request *request, int status,
                              struct body_stream *stream) {
    response_set_momentary(response, cached_response_create(status, slice_of("")), JSON);
    response->is_stream = true;
    response->chunked = !request->is_1_0;
    response->body_stream = stream;
}

void response_set_body_refused(struct response *response) {
    response_set_error(response, 413, "A request body is not accepted");
}

/* `at` never passes `end`. */
struct head {
    char *at;
    char *end;
};

static void response_put(struct head *head, const char *text) {
    size_t len = strlen(text), room = (size_t)(head->end - head->at);
    len = len < room ? len : room;
    memcpy(head->at, text, len);
    head->at += len;
}

static void response_put_line(struct head *head, const char *name, const char *value) {
    response_put(head, name);
    response_put(head, value);
    response_put(head, "\r\n");
}

static void response_put_number(struct head *head, const char *name, size_t number) {
    char digits[NUMBER_DIGITS_MOST + 1] = "";
    response_put(head, name);
    response_put(head, number_put_before(digits + NUMBER_DIGITS_MOST, number));
}

static struct slice response_whole_body(const struct response *response) {
    return response->gzip.data ? response->gzip : response->cached->body;
}

static size_t response_retry_after_s(const struct response *response) {
    return response->retry_after_s > 0 ? (size_t)response->retry_after_s : RETRY_AFTER_S;
}

static void response_put_caching(struct head *head, const struct response *response) {
    if (response->cache_control) { /* RFC 9111 5.1 */
        response_put_line(head, "Cache-Control: ", response->cache_control);
        response_put_number(head, "Age: ", (size_t)response->age_s);
        response_put(head, "\r\n");
    } else if (!response->own_cache_control) {
        /* Clients may cache a 200 but must revalidate it: the view changes. */
        response_put_line(head,
                          "Cache-Control: ", response->has_etag ? "private, no-cache" : "no-store");
    }
    if (response->varies || response->vary) {
        response_put(head, response->varies ? "Vary: Accept-Encoding" : "Vary: ");
        response_put(head, response->varies && response->vary ? ", " : "");
        response_put_line(head, response->vary ? response->vary : "", "");
    }
}

size_t response_format_head(const struct response *response, const char *correlation_id,
                            const char *date, char out[RESPONSE_HEAD_BYTES]) {
    struct head head = {out, out + RESPONSE_HEAD_BYTES};
    response_put_number(&head, "HTTP/1.1 ", (size_t)response->status);
    response_put_line(&head, " ", response_phrase(response->status));
    if (!response_is_bodyless(response->status) && !response->own_content_type) {
        response_put_line(&head, "Content-Type: ", response->content_type);
    }
    if (!response_is_bodyless(response->status) && !response->is_stream) {
        response_put_number(&head, "Content-Length: ", response_whole_body(response).len);
        response_put(&head, "\r\n");
    } else if (response->chunked) {
        response_put_line(&head, "Transfer-Encoding: ", "chunked");
    } else if (response->status == 205) {
        response_put_line(&head, "Content-Length: ", "0");
    }
    if (response->gzip.data || response->gzip_stream) {
        response_put_line(&head, "Content-Encoding: ", "gzip");
    }
    response_put_caching(&head, response);
    if (response->has_etag) {
        response_put_line(&head,
                          response->weak_etag ? "ETag: W/" : "ETag: ", response->cached->etag);
    }
    if (response->allow[0]) {
        response_put_line(&head, "Allow: ", response->allow);
    }
    if (response->status == 401 && response->challenge) {
        response_put_line(&head, "WWW-Authenticate: ", response->challenge);
    }
    if ((response->status == 503 || response->status == 429) && !response->own_retry_after) {
        response_put_number(&head, "Retry-After: ", response_retry_after_s(response));
        response_put(&head, "\r\n");
    }
    if (response->cookie[0]) {
        response_put_line(&head, "Set-Cookie: ", response->cookie);
    }
    if (response->lines) {
        response_put(&head, response->lines);
    }
    if (response->close) {
        response_put_line(&head, "Connection: ", "close");
    } else if (response->sends_keep_alive) {
        response_put_line(&head, "Connection: ", "keep-alive");
    }
    response_put_line(&head, "X-Content-Type-Options: ", "nosniff");
    if (response->correlation_name) {
        response_put(&head, response->correlation_name);
        response_put_line(&head, ": ", correlation_id);
    }
    response_put_line(&head, "Date: ", date);
    response_put(&head, response->own_lines ? "" : "\r\n");
    return (size_t)(head.at - out);
}

struct slice response_tail(const struct response *response) {
    return slice_of(response->own_lines ? response->own_lines : "");
}

void response_release(struct response *response) {
    cached_response_unref(response->cached);
    body_stream_destroy(response->body_stream);
    free(response->own_lines);
    *response = (struct response){0};
}

struct slice response_body(const struct response *response) {
    if (response->head_only || response_is_bodyless(response->status)) {
        return (struct slice){"", 0};
    }
    return response_whole_body(response);
}

void response_format_date(int64_t wall_us, char out[RESPONSE_DATE_BYTES]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* Not strftime, whose names follow the locale. The % bound each number's width. */
    snprintf(out, RESPONSE_DATE_BYTES, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[utc.tm_wday % 7],
             (unsigned)utc.tm_mday % 100, months[utc.tm_mon % 12],
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)utc.tm_hour % 100,
             (unsigned)utc.tm_min % 100, (unsigned)utc.tm_sec % 100);
}

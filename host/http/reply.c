#include "reply.h"

#include <stdio.h>
#include <time.h>

#include "base/buffer.h"
#include "base/number.h"
#include "etag.h"

#define JSON "application/json"
#define RETRY_AFTER_S "1"

static const char *reply_reason_of(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {205, "Reset Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return ""; /* a script's own choice: the phrase may be empty (RFC 9112 4) */
}

/* RFC 9110: what has one of these statuses has no body; after 204 and 304 no length may be said,
 * and after 205 a length of 0 must be, or the client waits for the connection's end. */
static bool reply_is_bodyless(int status) {
    return status == 204 || status == 205 || status == 304;
}

void reply_set_momentary(struct reply *reply, struct answer *answer, const char *content_type) {
    reply->answer = answer;
    reply->status = answer->status;
    reply->content_type = content_type;
}

void reply_set(struct reply *reply, const struct request *request, struct answer *answer,
               const char *content_type) {
    struct slice wanted = request->fields[FIELD_IF_NONE_MATCH];
    reply_set_momentary(reply, answer, content_type);
    reply->has_etag = answer->status == 200;
    if (reply->has_etag && wanted.data && etag_listed(wanted, answer->etag)) {
        reply->status = 304;
    }
}

void reply_set_error(struct reply *reply, int status, const char *message) {
    struct buffer body = {0};
    buffer_append_text(&body, "{\"error\":");
    buffer_append_json_string(&body, slice_of(message));
    buffer_append_text(&body, "}");
    reply_set_momentary(reply, answer_create(status, buffer_slice(&body)), JSON);
    reply->message = message;
    buffer_free(&body);
}

void reply_set_unavailable(struct reply *reply, enum unavailable reason) {
    reply_set_error(reply, 503, unavailable_message(reason));
    reply->unavailable = reason;
}

void reply_set_wrong_method(struct reply *reply, const char *allow) {
    snprintf(reply->allow, REPLY_ALLOW_BYTES, "%s", allow);
    reply_set_error(reply, 405, "Method not allowed");
}

void reply_set_options(struct reply *reply, const char *allow) {
    snprintf(reply->allow, REPLY_ALLOW_BYTES, "%s", allow);
    reply_set_momentary(reply, answer_create(204, slice_of("")), JSON);
}

void reply_set_body_refused(struct reply *reply) {
    reply_set_error(reply, 413, "A request body is not accepted");
}

/* A head that is put together piece by piece; `at` never passes `end`. */
struct head {
    char *at;
    char *end;
};

static void reply_put(struct head *head, const char *text) {
    size_t len = strlen(text), room = (size_t)(head->end - head->at);
    len = len < room ? len : room;
    memcpy(head->at, text, len);
    head->at += len;
}

static void reply_put_line(struct head *head, const char *name, const char *value) {
    reply_put(head, name);
    reply_put(head, value);
    reply_put(head, "\r\n");
}

static void reply_put_number(struct head *head, const char *name, size_t number) {
    char digits[NUMBER_DIGITS_MOST + 1] = "";
    reply_put(head, name);
    reply_put(head, number_put_before(digits + NUMBER_DIGITS_MOST, number));
}

size_t reply_format_head(const struct reply *reply, const char *correlation_id, const char *date,
                         char out[REPLY_HEAD_BYTES]) {
    struct head head = {out, out + REPLY_HEAD_BYTES};
    reply_put_number(&head, "HTTP/1.1 ", (size_t)reply->status);
    reply_put_line(&head, " ", reply_reason_of(reply->status));
    if (!reply_is_bodyless(reply->status)) {
        reply_put_line(&head, "Content-Type: ", reply->content_type);
        reply_put_number(&head, "Content-Length: ", reply->answer->body.len);
        reply_put(&head, "\r\n");
    } else if (reply->status == 205) {
        reply_put_line(&head, "Content-Length: ", "0");
    }
    /* An answer may be kept but must be asked for again: the view moves. Errors are not kept. */
    reply_put_line(&head, "Cache-Control: ", reply->has_etag ? "private, no-cache" : "no-store");
    if (reply->has_etag) {
        reply_put_line(&head, "ETag: ", reply->answer->etag);
    }
    if (reply->allow[0]) {
        reply_put_line(&head, "Allow: ", reply->allow);
    }
    if (reply->status == 401 && reply->challenge) {
        reply_put_line(&head, "WWW-Authenticate: ", reply->challenge);
    }
    if (reply->status == 503) {
        reply_put_line(&head, "Retry-After: ", RETRY_AFTER_S);
    }
    if (reply->close) {
        reply_put_line(&head, "Connection: ", "close");
    } else if (reply->says_keep_alive) {
        reply_put_line(&head, "Connection: ", "keep-alive");
    }
    reply_put_line(&head, "X-Content-Type-Options: ", "nosniff");
    if (reply->correlation_name) {
        reply_put(&head, reply->correlation_name);
        reply_put_line(&head, ": ", correlation_id);
    }
    reply_put_line(&head, "Date: ", date);
    reply_put(&head, "\r\n");
    return (size_t)(head.at - out);
}

struct slice reply_body(const struct reply *reply) {
    if (reply->head_only || reply_is_bodyless(reply->status)) {
        return (struct slice){"", 0};
    }
    return reply->answer->body;
}

void reply_format_date(int64_t wall_us, char out[REPLY_DATE_BYTES]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* Not strftime: its names follow the locale. The % keep every number's width bounded. */
    snprintf(out, REPLY_DATE_BYTES, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[utc.tm_wday % 7],
             (unsigned)utc.tm_mday % 100, months[utc.tm_mon % 12],
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)utc.tm_hour % 100,
             (unsigned)utc.tm_min % 100, (unsigned)utc.tm_sec % 100);
}

#include "request.h"

#include <strings.h>

#include "authority.h"

/* Fields that a request may repeat. */
static const bool request_repeats[FIELD_COUNT] = {
    [FIELD_TRANSFER_ENCODING] = true,
    [FIELD_CONNECTION] = true,
    [FIELD_EXPECT] = true,
    [FIELD_IF_NONE_MATCH] = true,
    [FIELD_TRACEPARENT] = true,
    [FIELD_ACCEPT_ENCODING] = true,
    [FIELD_COOKIE] = true,
    [FIELD_ORIGIN] = true,
    [FIELD_LAST_EVENT_ID] = true,
    [FIELD_FETCH_SITE] = true,
};

const char *const request_method_names[METHOD_COUNT] = {"GET",   "HEAD",   "POST", "PUT",
                                                        "PATCH", "DELETE", "other"};

struct request_names request_names(const char *api_key, const char *caller,
                                   const char *correlation_id) {
    return (struct request_names){{
        [FIELD_HOST] = slice_of("host"),
        [FIELD_CONTENT_LENGTH] = slice_of("content-length"),
        [FIELD_TRANSFER_ENCODING] = slice_of("transfer-encoding"),
        [FIELD_CONNECTION] = slice_of("connection"),
        [FIELD_EXPECT] = slice_of("expect"),
        [FIELD_IF_NONE_MATCH] = slice_of("if-none-match"),
        [FIELD_AUTHORIZATION] = slice_of("authorization"),
        [FIELD_API_KEY] = slice_of(api_key),
        [FIELD_CALLER] = slice_of(caller),
        [FIELD_CORRELATION_ID] = slice_of(correlation_id),
        [FIELD_TRACEPARENT] = slice_of("traceparent"),
        [FIELD_ACCEPT_ENCODING] = slice_of("accept-encoding"),
        [FIELD_COOKIE] = slice_of("cookie"),
        [FIELD_ORIGIN] = slice_of("origin"),
        [FIELD_LAST_EVENT_ID] = slice_of("last-event-id"),
        [FIELD_FETCH_SITE] = slice_of("sec-fetch-site"),
    }};
}

static bool request_refuse(struct refusal *refusal, int status, const char *message) {
    *refusal = (struct refusal){status, message};
    return false;
}

static bool request_is_token_char(unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t request_token_len(struct slice text) {
    size_t len = 0;
    while (len < text.len && request_is_token_char((unsigned char)text.data[len])) {
        len++;
    }
    return len;
}

static bool request_is_text(struct slice text, const char *wanted) {
    return text.len == strlen(wanted) && strncasecmp(text.data, wanted, text.len) == 0;
}

static struct slice request_after(struct slice text, size_t len) {
    return (struct slice){text.data + len, text.len - len};
}

static struct slice request_trimmed(struct slice text) {
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = request_after(text, 1);
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* ---- where the head ends ------------------------------------------------------------------ */

size_t request_scan(struct slice bytes, size_t from, bool *bad) {
    *bad = false;
    for (;;) {
        const char *feed = memchr(bytes.data + from, '\n', bytes.len - from);
        if (!feed) {
            return 0;
        }
        size_t at = (size_t)(feed - bytes.data);
        if (at == 0 || bytes.data[at - 1] != '\r') {
            *bad = true;
            return at + 1;
        }
        if (at >= 3 && memcmp(feed - 3, "\r\n\r\n", 4) == 0) {
            return at + 1;
        }
        from = at + 1;
    }
}

struct refusal request_too_large(struct slice bytes) {
    return memchr(bytes.data, '\n', bytes.len)
               ? (struct refusal){431, "Request header fields are too large"}
               : (struct refusal){414, "Request target is too long"};
}

/* Cuts the next line off *rest, without its CRLF. */
static struct slice request_next_line(struct slice *rest) {
    const char *feed = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = feed ? (size_t)(feed - rest->data) + 1 : rest->len;
    struct slice line = {rest->data, len >= 2 ? len - 2 : 0};
    *rest = request_after(*rest, len);
    return line;
}

/* ---- the request line --------------------------------------------------------------------- */

static bool request_parse_version(struct slice text, struct request *request,
                                  struct refusal *refusal) {
    const char *v = text.data;
    if (text.len != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' ||
        v[7] < '0' || v[7] > '9') {
        return request_refuse(refusal, 400, "Invalid request line");
    }
    if (v[5] != '1') {
        return request_refuse(refusal, 505, "HTTP version not supported");
    }
    request->is_1_0 = v[7] == '0';
    request->keep_alive = !request->is_1_0;
    return true;
}

/* The length of "http://" or "https://" (a proxy may have ended TLS); 0: neither. */
static size_t request_scheme_len(struct slice target) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (target.len >= len && strncasecmp(target.data, schemes[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* Cuts scheme and authority off an absolute-form. */
static bool request_cut_authority(struct slice *target, struct refusal *refusal) {
    struct slice authority = request_after(*target, request_scheme_len(*target));
    size_t len = 0;
    while (len < authority.len && authority.data[len] != '/' && authority.data[len] != '?') {
        len++;
    }
    *target = request_after(authority, len);
    authority.len = len;
    return authority_is_valid(authority) ||
           request_refuse(refusal, 400, "Invalid host in the request target");
}

/* origin-form, absolute-form or `*`. */
static bool request_parse_target(struct slice target, struct request *request,
                                 struct refusal *refusal) {
    if (target.len > REQUEST_MAX_TARGET_BYTES) {
        return request_refuse(refusal, 414, "Request target is too long");
    }
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7F || c == '#') {
            return request_refuse(refusal, 400, "Invalid request target");
        }
    }
    if (request_scheme_len(target) > 0) {
        if (!request_cut_authority(&target, refusal)) {
            return false;
        }
    } else if (!(target.len > 0 && target.data[0] == '/') &&
               !(request_is_text(target, "*") &&
                 slice_equal(request->method_name, slice_of("OPTIONS")))) {
        return request_refuse(refusal, 400, "Invalid request target");
    }
    const char *mark = memchr(target.data, '?', target.len);
    size_t path_len = mark ? (size_t)(mark - target.data) : target.len;
    request->path = path_len > 0 ? (struct slice){target.data, path_len} : slice_of("/");
    request->query = mark ? request_after(target, path_len + 1) : (struct slice){0};
    return true;
}

static enum request_method request_method_of(struct slice name) {
    int method = METHOD_GET;
    while (method < METHOD_OTHER && !slice_equal(name, slice_of(request_method_names[method]))) {
        method++;
    }
    return (enum request_method)method;
}

static bool request_parse_line(struct slice line, struct request *request,
                               struct refusal *refusal) {
    request->method_name = (struct slice){line.data, request_token_len(line)};
    size_t method_len = request->method_name.len;
    const char *space = method_len < line.len && line.data[method_len] == ' '
                            ? memchr(line.data + method_len + 1, ' ', line.len - method_len - 1)
                            : NULL;
    if (method_len == 0 || !space) {
        return request_refuse(refusal, 400, "Invalid request line");
    }
    request->method = request_method_of(request->method_name);
    struct slice target = {line.data + method_len + 1,
                           (size_t)(space - line.data) - method_len - 1};
    struct slice version = request_after(line, (size_t)(space - line.data) + 1);
    return request_parse_version(version, request, refusal) &&
           request_parse_target(target, request, refusal);
}

/* ---- header fields ------------------------------------------------------------------------ */

static bool request_is_field_value(struct slice value) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return false;
        }
    }
    return true;
}

/* `close` wins over `keep-alive`. */
static void request_read_connection(struct slice list, struct request *request, bool *closing) {
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;
        struct slice item = request_trimmed((struct slice){list.data, len});
        *closing = *closing || request_is_text(item, "close");
        request->keep_alive = request->keep_alive || request_is_text(item, "keep-alive");
        list = request_after(list, len + (comma != NULL));
    }
}

/* FIELD_COUNT: none of them. */
static size_t request_find_field(const struct request_names *names, struct slice name) {
    size_t i = 0;
    while (i < FIELD_COUNT && (names->of[i].len != name.len ||
                               strncasecmp(names->of[i].data, name.data, name.len) != 0)) {
        i++;
    }
    return i;
}

static bool request_keep_field(struct request *request, size_t field, struct slice value,
                               struct refusal *refusal) {
    if (!request->fields[field].data) {
        request->fields[field] = value;
    } else if (!request_repeats[field]) {
        return request_refuse(refusal, 400, "A header field is repeated that may stand once only");
    } else if (field == FIELD_IF_NONE_MATCH || field >= FIELD_TRACEPARENT) {
        /* Repeated ones are ignored: a full response, no trace, plain bytes, no session are always
         * right. */
        request->fields[field].len = 0;
    }
    return true;
}

static bool request_parse_fields(struct slice rest, const struct request_names *names,
                                 struct request *request, struct refusal *refusal) {
    bool closing = false;
    for (size_t count = 0;; count++) {
        struct slice line = request_next_line(&rest);
        if (line.len == 0) {
            break;
        }
        size_t name_len = request_token_len(line);
        if (count == REQUEST_MAX_FIELDS) {
            return request_refuse(refusal, 431, "Too many header fields");
        }
        /* Also a blank before the colon, or a folded line. */
        if (name_len == 0 || name_len == line.len || line.data[name_len] != ':') {
            return request_refuse(refusal, 400, "Invalid header field");
        }
        struct slice name = {line.data, name_len};
        struct slice value = request_trimmed(request_after(line, name_len + 1));
        if (!request_is_field_value(value)) {
            return request_refuse(refusal, 400, "Invalid header field");
        }
        size_t field = request_find_field(names, name);
        if (field < FIELD_COUNT && !request_keep_field(request, field, value, refusal)) {
            return false;
        }
        if (field == FIELD_CONNECTION) {
            request_read_connection(value, request, &closing);
        }
    }
    request->keep_alive = request->keep_alive && !closing;
    return true;
}

/* ---- fields that depend on each other ----------------------------------------------------- */

static bool request_check_length(struct request *request, struct refusal *refusal) {
    struct slice length = request->fields[FIELD_CONTENT_LENGTH];
    bool good = !length.data || length.len > 0;
    for (size_t i = 0; length.data && i < length.len; i++) {
        unsigned digit = (unsigned char)length.data[i] - (unsigned)'0';
        bool fits = request->body_bytes <= (UINT64_MAX - 9) / 10;
        good = good && digit <= 9;
        request->body_bytes = fits ? request->body_bytes * 10 + digit % 10 : UINT64_MAX;
    }
    request->has_body = request->body_bytes > 0;
    return good || request_refuse(refusal, 400, "Invalid Content-Length");
}

/* A body of chunks has no length, and readers differ in where it ends. */
static bool request_refuse_coding(const struct request *request, struct refusal *refusal) {
    if (!request_is_text(request->fields[FIELD_TRANSFER_ENCODING], "chunked")) {
        return request_refuse(refusal, 501, "Transfer-Encoding is not accepted");
    }
    return request->fields[FIELD_CONTENT_LENGTH].data || request->is_1_0
               ? request_refuse(refusal, 400, "Transfer-Encoding is not accepted")
               : request_refuse(refusal, 411,
                                "Transfer-Encoding is not accepted: send a Content-Length");
}

/* Host is empty where the target has no authority (RFC 9112 3.2). */
static bool request_check_host(const struct request *request, struct refusal *refusal) {
    struct slice host = request->fields[FIELD_HOST];
    if (!host.data) {
        return request->is_1_0 || request_refuse(refusal, 400, "Host is missing");
    }
    return host.len == 0 || authority_is_valid(host) ||
           request_refuse(refusal, 400, "Invalid Host");
}

static bool request_check_framing(struct request *request, struct refusal *refusal) {
    const struct slice *fields = request->fields;
    if (fields[FIELD_TRANSFER_ENCODING].data) {
        return request_refuse_coding(request, refusal);
    }
    if (!request_check_host(request, refusal) || !request_check_length(request, refusal)) {
        return false;
    }
    if (fields[FIELD_EXPECT].data && !request_is_text(fields[FIELD_EXPECT], "100-continue")) {
        return request_refuse(refusal, 417, "The expectation cannot be met");
    }
    request->keep_alive_after_body = request->keep_alive;
    if (request->has_body) {
        request->keep_alive = false; /* until the body is read: nothing after it can be */
    }
    return true;
}

bool request_parse(struct slice head, const struct request_names *names, struct request *request,
                   struct refusal *refusal) {
    struct slice rest = head;
    *request = (struct request){.method = METHOD_OTHER};
    struct slice line = request_next_line(&rest);
    if (!request_parse_line(line, request, refusal) ||
        !request_parse_fields(rest, names, request, refusal)) {
        return false;
    }
    request->lines = rest;
    return request_check_framing(request, refusal);
}

size_t request_header(const struct request *request, const char *name, struct slice *value) {
    struct slice lines = request->lines, line_name, line_value;
    size_t count = 0;
    *value = (struct slice){0};
    while (request_next_header(&lines, &line_name, &line_value)) {
        if (request_is_text(line_name, name) && ++count == 1) {
            *value = line_value;
        }
    }
    return count;
}

bool request_next_header(struct slice *lines, struct slice *name, struct slice *value) {
    struct slice line = request_next_line(lines);
    *name = (struct slice){line.data, request_token_len(line)};
    *value = line.len > 0 ? request_trimmed(request_after(line, name->len + 1)) : line;
    return line.len > 0;
}

bool correlation_id_acceptable(struct slice text) {
    if (text.len == 0 || text.len > CORRELATION_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

#include "request_body.h"

#include <stdio.h>
#include <strings.h>

#define MESSAGE_BYTES 256

/* The media type without its parameters (RFC 9110 8.3.1). */
static struct slice request_body_type(struct slice value) {
    size_t len = 0;
    while (len < value.len && value.data[len] != ';' && value.data[len] != ' ' &&
           value.data[len] != '\t') {
        len++;
    }
    return (struct slice){value.data, len};
}

static bool request_body_is_type(const struct request *request, const char *wanted) {
    struct slice value;
    size_t count = request_header(request, "content-type", &value);
    struct slice type = count == 1 ? request_body_type(value) : (struct slice){0};
    return type.data && type.len == strlen(wanted) && strncasecmp(type.data, wanted, type.len) == 0;
}

static bool request_body_refuse(struct response *response, int status, const char *message,
                                const char *logged) {
    response_set_refused(response, status, message, logged);
    return false;
}

static bool request_body_refuse_type(const struct script_body *body, struct response *response) {
    char message[MESSAGE_BYTES];
    snprintf(message, sizeof message, "Content-Type must be %.200s", body->content_type);
    return request_body_refuse(response, 415, message, "Content-Type is not the route's");
}

bool request_body_fits(struct request *request, const struct script_body *body,
                       struct response *response) {
    char message[MESSAGE_BYTES];
    struct slice coding, type;
    if (!body) {
        if (request->has_body) {
            response_set_body_refused(response);
        }
        return !request->has_body;
    }
    if (!request->fields[FIELD_CONTENT_LENGTH].data) {
        request->keep_alive = false; /* the client may send a body nevertheless */
        return request_body_refuse(response, 411, "A body with a Content-Length is required",
                                   "Content-Length is missing");
    }
    if (request->body_bytes > body->max_bytes) {
        snprintf(message, sizeof message, "The request body is longer than %zu bytes",
                 body->max_bytes);
        return request_body_refuse(response, 413, message, "The request body is too long");
    }
    if (request_header(request, "content-encoding", &coding) > 0) {
        return request_body_refuse(response, 415, "Content-Encoding is not accepted",
                                   "Content-Encoding is not accepted");
    }
    if (request->body_bytes == 0 && body->part.plan &&
        request_header(request, "content-type", &type) == 0) {
        return true; /* the route's fields say what lacks */
    }
    return request_body_is_type(request, body->content_type) ||
           request_body_refuse_type(body, response);
}

#include "problem.h"

#include "base/json_put.h"
#include "base/json_scan.h"
#include "accept.h"

#define PROBLEM "application/problem+json"
#define BLANK "about:blank" /* RFC 9457 4.2.1: the status says it all */

/* A string with its quotes, as it stands in the body. */
static struct slice problem_quoted(const struct json_value *value) {
    return (struct slice){value->raw.data - 1, value->raw.len + 2};
}

/* Reads the strings `error` and `type`, data NULL where they lack. False: the body has no `error`.
 */
static bool problem_read(struct slice body, struct slice *error, struct slice *type) {
    struct json_cursor cursor;
    struct json_value key, value;
    enum json_type kind;
    *error = *type = (struct slice){0};
    json_begin(&cursor, body);
    bool more = json_peek(&cursor, &kind) && kind == JSON_OBJECT && json_enter(&cursor);
    while (more && json_next_member(&cursor, &key, &more) && more && json_read(&cursor, &value)) {
        bool text = value.type == JSON_STRING;
        if (text && slice_equal(key.raw, slice_of("error"))) {
            *error = problem_quoted(&value);
        } else if (text && slice_equal(key.raw, slice_of("type"))) {
            *type = problem_quoted(&value);
        }
    }
    return error->data && !cursor.error;
}

static void problem_put(struct buffer *json, const char *name, struct slice value) {
    json_put_name(json, name);
    buffer_append_slice(json, value);
}

void problem_apply(struct response *response, const struct request *request) {
    struct slice accept, error, type;
    struct buffer json = {0};
    if (response->status < 400 || request_header(request, "accept", &accept) != 1 ||
        accept_quality(accept, PROBLEM) <= 0 ||
        !problem_read(response->cached->body, &error, &type)) {
        return;
    }
    buffer_append_text(&json, "{");
    problem_put(&json, "type", type.data ? type : slice_of("\"" BLANK "\""));
    json_put_text(&json, "title", slice_of(response_phrase(response->status)));
    json_put_int(&json, "status", response->status);
    problem_put(&json, "detail", error);
    json_put_text(&json, "instance", request->path);
    problem_put(&json, "error", error);
    buffer_append_text(&json, "}");
    cached_response_unref(response->cached);
    response->cached = cached_response_create(response->status, buffer_slice(&json));
    response->content_type = PROBLEM;
    buffer_free(&json);
}

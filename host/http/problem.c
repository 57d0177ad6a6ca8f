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

struct problem {
    struct slice error, type; /* with their quotes; data NULL where they lack */
    struct buffer others;     /* further members: extensions (RFC 9457 3.2) */
};

/* The document's own members: those of the body by these names are not taken as they are. */
static bool problem_is_own(const struct json_value *key) {
    static const char *const own[] = {"type", "title", "status", "detail", "instance", "error"};
    bool is_own = false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        is_own = is_own || slice_equal(key->raw, slice_of(own[i]));
    }
    return is_own;
}

static void problem_take(struct problem *problem, const struct json_value *key,
                         const struct json_value *value) {
    bool text = value->type == JSON_STRING;
    if (text && slice_equal(key->raw, slice_of("error"))) {
        problem->error = problem_quoted(value);
    } else if (text && slice_equal(key->raw, slice_of("type"))) {
        problem->type = problem_quoted(value);
    } else if (!problem_is_own(key)) {
        buffer_append_text(&problem->others, ",");
        buffer_append_slice(&problem->others, problem_quoted(key));
        buffer_append_text(&problem->others, ":");
        buffer_append_slice(&problem->others, text ? problem_quoted(value) : value->raw);
    }
}

/* False: the body has no `error`. */
static bool problem_read(struct slice body, struct problem *problem) {
    struct json_cursor cursor;
    struct json_value key, value;
    enum json_type kind;
    json_begin(&cursor, body);
    bool more = json_peek(&cursor, &kind) && kind == JSON_OBJECT && json_enter(&cursor);
    while (more && json_next_member(&cursor, &key, &more) && more && json_read(&cursor, &value)) {
        problem_take(problem, &key, &value);
    }
    return problem->error.data && !cursor.error;
}

static void problem_put(struct buffer *json, const char *name, struct slice value) {
    json_put_name(json, name);
    buffer_append_slice(json, value);
}

static void problem_replace(struct response *response, const struct request *request,
                            const struct problem *problem) {
    struct buffer json = {0};
    buffer_append_text(&json, "{");
    problem_put(&json, "type", problem->type.data ? problem->type : slice_of("\"" BLANK "\""));
    json_put_text(&json, "title", slice_of(response_phrase(response->status)));
    json_put_int(&json, "status", response->status);
    problem_put(&json, "detail", problem->error);
    json_put_text(&json, "instance", request->path);
    problem_put(&json, "error", problem->error);
    buffer_append_slice(&json, buffer_slice(&problem->others));
    buffer_append_text(&json, "}");
    cached_response_unref(response->cached);
    response->cached = cached_response_create(response->status, buffer_slice(&json));
    response->content_type = PROBLEM;
    buffer_free(&json);
}

static bool problem_is_wanted(const struct request *request) {
    struct slice accept;
    return request_header(request, "accept", &accept) == 1 && accept_quality(accept, PROBLEM) > 0;
}

void problem_apply(struct response *response, const struct request *request) {
    struct problem problem = {0};
    if (response->status < 400 || response->own_content_type) {
        return;
    }
    if (response->own_cache_control) { /* caches may keep it: RFC 9110 12.5.5 */
        response->vary = "Accept";
    }
    if (problem_is_wanted(request) && problem_read(response->cached->body, &problem)) {
        problem_replace(response, request, &problem);
    }
    buffer_free(&problem.others);
}

#include "route_stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "accept.h"
#include "body_stream.h"
#include "compression.h"
#include "route_inputs.h"
#include "route_response.h"

#define MIB 1048576ULL

/* ---- how many ------------------------------------------------------------------------------ */

static _Atomic int route_stream_count; /* of all generations */

static void route_stream_show_count(double more) {
    metric_add(metric_single(METRIC_GAUGE, "ras_api_streams",
                             "Requests under way to routes that stream their response."),
               more);
}

/* False: all are under way. A state stays free for other routes. */
static bool route_stream_enter(const struct config *config) {
    int most = config->http.max_streams;
    most = most < config->http.states ? most : config->http.states - 1;
    if (atomic_fetch_add(&route_stream_count, 1) >= (most > 0 ? most : 1)) {
        atomic_fetch_sub(&route_stream_count, 1);
        return false;
    }
    route_stream_show_count(1);
    return true;
}

static void route_stream_leave(void) {
    atomic_fetch_sub(&route_stream_count, 1);
    route_stream_show_count(-1);
}

/* ---- the sink of the script ---------------------------------------------------------------- */

/* On the worker's stack. */
struct route_stream {
    const struct route_stream_source *source;
    struct exchange *exchange;
    struct body_stream *body; /* NULL until the script begins */
    int status;
    struct script_headers headers; /* owned */
};

/* The value of a header line of the route; data NULL: there is none. */
static struct slice route_stream_header(const struct script_headers *headers, const char *name) {
    size_t len = strlen(name);
    for (const char *line = headers->lines; line && *line; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            return (struct slice){line + len + 2, strcspn(line + len + 2, "\r")};
        }
    }
    return (struct slice){0};
}

/* Text, and JSON in any form: others, such as images, are compressed already. */
static bool route_stream_may_compress(const struct route_stream *stream) {
    struct slice type = route_stream_header(&stream->headers, "Content-Type");
    size_t len = type.data ? strcspn(type.data, "; \r") : 0;
    len = len < type.len ? len : type.len;
    return stream->source->config->http.compress_min_bytes > 0 &&
           (!type.data || (len > 5 && strncasecmp(type.data, "text/", 5) == 0) ||
            (len > 4 && strncasecmp(type.data + len - 4, "json", 4) == 0));
}

/* Whether the response is compressed if it becomes longer than a piece. */
static bool route_stream_compresses(const struct route_stream *stream) {
    struct slice accepted = stream->exchange->request.fields[FIELD_ACCEPT_ENCODING];
    return accepted.len > 0 && accept_quality(accepted, "gzip") > 0 &&
           route_stream_may_compress(stream);
}

/* Its first piece is full. */
static void route_stream_on_begin(void *context) {
    struct route_stream *stream = context;
    struct response *response = &stream->exchange->response;
    const struct request *request = &stream->exchange->request;
    response_set_body_stream(response, request, stream->status, stream->body);
    response->varies = route_stream_may_compress(stream);
    response->gzip_stream = route_stream_compresses(stream);
    route_response_set_headers(response, &stream->headers);
    stream->headers.lines = NULL;
    exchange_begin_stream(stream->exchange);
}

static void route_stream_on_piece(void *context) {
    const struct route_stream *stream = context;
    stream->exchange->on_piece(stream->exchange);
}

static void route_stream_begin(void *context, const struct script_response *response) {
    struct route_stream *stream = context;
    const struct exchange *exchange = stream->exchange;
    const struct config *config = stream->source->config;
    stream->status = response->status;
    stream->headers = response->headers;
    stream->headers.lines = response->headers.lines ? xstrdup(response->headers.lines) : NULL;
    const struct body_stream_options options = {
        .endpoint = exchange->endpoint,
        .method = exchange->request.method_name,
        .correlation_id = exchange->correlation_id,
        .deadline_us = clock_monotonic_us() + config->http.stream_timeout_ms * 1000LL,
        .max_bytes = (uint64_t)config->http.stream_max_mb * MIB,
        .chunked = !exchange->request.is_1_0,
        .gzip = route_stream_compresses(stream),
        .context = stream,
        .on_begin = route_stream_on_begin,
        .on_piece = route_stream_on_piece,
    };
    stream->body = body_stream_create(&options);
}

static const char *route_stream_write(void *context, struct slice part) {
    struct route_stream *stream = context;
    return stream->body ? body_stream_write(stream->body, part) : "there is no memory to compress";
}

/* ---- one request --------------------------------------------------------------------------- */

/* Of a HEAD: what a long response would have. */
static void route_stream_set_head(struct route_stream *stream,
                                  const struct script_response *answer) {
    response_set_body_stream(&stream->exchange->response, &stream->exchange->request,
                             answer->status, NULL);
}

/* A body that is whole: that of the route, or all that it wrote. */
static void route_stream_set_whole(struct route_stream *stream,
                                   const struct script_response *answer) {
    struct exchange *exchange = stream->exchange;
    struct response *response = &exchange->response;
    struct slice body = stream->body ? body_stream_collected(stream->body) : answer->body;
    response_set_momentary(response,
                           cached_response_create(answer->status, body.data ? body : slice_of("")),
                           "application/json");
    if (!answer->headers.has_content_type) {
        compression_apply(response, &exchange->request,
                          stream->source->config->http.compress_min_bytes);
    }
}

/* Takes the headers of the answer. */
static void route_stream_set_response(struct route_stream *stream, struct script_response *answer) {
    if (answer->is_stream && stream->exchange->request.method == METHOD_HEAD) {
        route_stream_set_head(stream, answer);
    } else {
        route_stream_set_whole(stream, answer);
    }
    route_response_set_headers(&stream->exchange->response, &answer->headers);
    answer->headers.lines = NULL;
}

/* The script has returned or raised. */
static void route_stream_end(struct route_stream *stream, enum script_result result,
                             struct script_response *answer, const struct err *err) {
    bool good = result == SCRIPT_OK;
    if (stream->body && body_stream_has_begun(stream->body)) {
        body_stream_finish(stream->body, good ? BODY_STREAM_WHOLE : BODY_STREAM_FAILED,
                           good ? NULL : err->text);
        return; /* the response owns the body */
    }
    if (good) {
        route_stream_set_response(stream, answer);
    } else {
        stream->exchange->why = xstrdup(err->text);
        route_response_set_failure(&stream->exchange->response, err);
    }
    body_stream_destroy(stream->body);
}

static void route_stream_ask(struct route_stream *stream, struct script_request *request) {
    struct script_response answer = {0};
    struct err err = {0};
    const struct script_sink sink = {stream, route_stream_begin, route_stream_write};
    request->sink = stream->exchange->request.method == METHOD_HEAD ? NULL : &sink;
    enum script_result result =
        script_pool_answer(stream->source->pool, request,
                           clock_remaining_ms(stream->exchange->deadline_us), &answer, &err);
    request->sink = NULL; /* it ends here */
    route_stream_end(stream, result, &answer, &err);
    script_response_free(&answer);
    free(stream->headers.lines);
}

void route_stream_carry_out(const struct route_stream_source *source, struct exchange *exchange) {
    struct route_stream stream = {.source = source, .exchange = exchange};
    struct script_request request = {.route = exchange->plan.match.route,
                                     .correlation_id = exchange->correlation_id};
    struct route_inputs inputs;
    struct err err = {0};
    if (!route_stream_enter(source->config)) {
        response_set_unavailable(&exchange->response, UNAVAILABLE_STREAMS);
        return;
    }
    if (route_inputs_read(&inputs, source->route, exchange, &request, &err)) {
        route_stream_ask(&stream, &request);
    } else {
        route_inputs_set_refused(exchange, &request.inputs, &err);
    }
    route_inputs_free(&inputs);
    route_stream_leave();
}

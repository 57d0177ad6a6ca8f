#include "try_route.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "http/exchange.h"
#include "http/problem.h"
#include "http/request_body.h"
#include "http/route_inputs.h"
#include "http/route_response.h"
#include "outside.h"
#include "samples.h"
#include "show_answer.h"

struct try_route {
    const struct try_route_options *options;
    struct script_generation *generation;
    const struct script_route *routes;
    size_t route_count;
    struct outside outside;
    struct script_instance *instance;
    struct buffer head, body;
    struct exchange *exchange;
    struct shown_answer shown;
};

/* ---- the request --------------------------------------------------------------------------- */

static bool try_route_names_type(const struct try_route_options *options) {
    static const char name[] = "content-type:";
    for (size_t i = 0; i < options->header_count; i++) {
        if (strncasecmp(options->headers[i], name, sizeof name - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* A body has the type of its route's most often. */
static void try_route_put_head(struct try_route *attempt) {
    const struct try_route_options *options = attempt->options;
    const char *method = options->method ? options->method : options->body ? "POST" : "GET";
    struct buffer *head = &attempt->head;
    buffer_append_format(head, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, options->target);
    for (size_t i = 0; i < options->header_count; i++) {
        buffer_append_format(head, "%s\r\n", options->headers[i]);
    }
    if (options->body) {
        buffer_append_format(head, "Content-Length: %zu\r\n", attempt->exchange->body.len);
        buffer_append_text(
            head, try_route_names_type(options) ? "" : "Content-Type: application/json\r\n");
    }
    buffer_append_text(head, "\r\n");
}

static bool try_route_read_body(struct try_route *attempt, struct err *err) {
    const char *name;
    if (attempt->options->body &&
        !samples_read_bytes(&attempt->body, attempt->options->body, &name, err)) {
        return false;
    }
    attempt->exchange->body.data = attempt->body.data;
    attempt->exchange->body.len = attempt->body.len;
    return true;
}

/* False: the response is the server's to such bytes, or ERR_INPUT: they are no one request. */
static bool try_route_parse(struct try_route *attempt, struct err *err) {
    const struct config *config = attempt->options->config;
    struct exchange *exchange = attempt->exchange;
    struct request_names names =
        request_names(config->http.api_key_header, config->http.caller_header,
                      config->http.correlation_id_header);
    struct refusal refusal;
    bool bad = false;
    struct slice head = buffer_slice(&attempt->head);
    if (request_scan(head, 0, &bad) != head.len || bad) {
        return err_set(err, ERR_INPUT, "the path or a header has a line break");
    }
    if (!request_parse(head, &names, &exchange->request, &refusal)) {
        response_set_error(&exchange->response, refusal.status, refusal.message);
        return false;
    }
    return true;
}

/* ---- the route ----------------------------------------------------------------------------- */

static void try_route_note_live(struct try_route *attempt) {
    for (size_t i = 0; i < attempt->route_count; i++) {
        struct script_route live = attempt->routes[i];
        live.paths = live.live_paths;
        live.path_count = live.live_count;
        if (router_find(&live, 1, &attempt->exchange->request, &attempt->exchange->plan.match) ==
            ROUTER_FOUND) {
            fprintf(stderr, "the path is the live stream of %s: try its answer, %s\n", live.name,
                    attempt->routes[i].paths[0]);
        }
    }
}

#define PATHS_MAX 256

static void try_route_note_nearest(const struct try_route *attempt) {
    const char *paths[PATHS_MAX];
    char hint[NEAREST_HINT_CAP], path[512];
    size_t count = 0;
    for (size_t i = 0; i < attempt->route_count; i++) {
        for (size_t k = 0; k < attempt->routes[i].path_count && count < PATHS_MAX; k++) {
            paths[count++] = attempt->routes[i].paths[k];
        }
    }
    const char *target = attempt->options->target;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    fprintf(stderr, "no route of the scripts has this path: %s\n",
            nearest_hint(hint, path, paths, count));
}

/* False: the response is 400, 404 or 405. */
static bool try_route_find(struct try_route *attempt) {
    struct exchange *exchange = attempt->exchange;
    struct router_match *match = &exchange->plan.match;
    enum router_result found =
        router_find(attempt->routes, attempt->route_count, &exchange->request, match);
    if (found == ROUTER_FOUND) {
        attempt->shown.route = &attempt->routes[match->route];
        return true;
    }
    router_refuse(found, match, &exchange->response);
    if (found == ROUTER_NOT_FOUND) {
        try_route_note_live(attempt);
        try_route_note_nearest(attempt);
    }
    return false;
}

/* False: the response is what the declaration refuses, before the script runs. */
static bool try_route_admit(struct try_route *attempt) {
    struct exchange *exchange = attempt->exchange;
    struct router_pairs *query = &exchange->plan.query;
    const struct script_route *route = attempt->shown.route;
    struct err err = {0};
    if (!request_body_fits(&exchange->request, route->body, &exchange->response)) {
        return false;
    }
    const char *problem = router_parse_query(exchange->request.query, query);
    if (problem) {
        response_set_error(&exchange->response, 400, problem);
    } else if (route->query && !script_query_known(route, query->items, query->count, &err)) {
        response_set_error(&exchange->response, 400, err.text);
        problem = err.text;
    }
    return !problem;
}

static void try_route_take_answer(struct try_route *attempt, struct script_response *answer,
                                  const struct script_parts *parts) {
    struct exchange *exchange = attempt->exchange;
    struct slice body = answer->is_stream ? buffer_slice(&parts->body) : answer->body;
    struct cached_response *cached = cached_response_create(answer->status, body);
    if (answer->is_stream) { /* a short one is sent whole, without an ETag; a long one in chunks */
        response_set_momentary(&exchange->response, cached, "application/json");
        exchange->response.is_stream = exchange->response.chunked = parts->dropped > 0;
        attempt->shown.dropped_bytes = parts->dropped;
    } else {
        route_response_set(&exchange->response, &exchange->request, cached, attempt->shown.route,
                           &attempt->options->config->http.vocabularies);
    }
    route_response_set_headers(&exchange->response, &answer->headers);
    answer->headers.lines = NULL;
    buffer_append_slice(&attempt->shown.tags, buffer_slice(&answer->tag_texts));
}

static void try_route_call(struct try_route *attempt, struct script_request *request) {
    struct script_response answer = {0};
    struct script_parts parts = {.cuts = true};
    const struct script_sink sink = script_parts_sink(&parts);
    struct err err = {0};
    request->sink = attempt->exchange->request.method == METHOD_HEAD ? NULL : &sink;
    int64_t began_us = clock_monotonic_us();
    enum script_result result = script_answer(attempt->instance, request, &answer, &err);
    attempt->shown.took_us = clock_monotonic_us() - began_us;
    request->sink = NULL; /* it ends here */
    if (result == SCRIPT_OK) {
        try_route_take_answer(attempt, &answer, &parts);
    } else {
        buffer_append_text(&attempt->shown.error, err.text);
        route_response_set_failure(&attempt->exchange->response, &err);
    }
    script_response_free(&answer);
    script_parts_free(&parts);
    calls_report(attempt->instance, attempt->options->json, &attempt->shown.calls,
                 &attempt->shown.unavailable);
}

/* What the program would cache the response under. */
static void try_route_note_key(struct try_route *attempt, const struct script_request *request) {
    const struct script_route *route = attempt->shown.route;
    if (route->cache_key && attempt->exchange->response.status == 200 &&
        script_cache_key(route, request, &attempt->shown.cache_key)) {
        attempt->shown.cache_ttl_s =
            route->cache.ttl_s > 0 ? route->cache.ttl_s : attempt->options->config->cache.ttl_s;
    } else {
        buffer_clear(&attempt->shown.cache_key);
    }
}

static void try_route_answer(struct try_route *attempt) {
    struct exchange *exchange = attempt->exchange;
    struct script_request request = {.route = exchange->plan.match.route,
                                     .correlation_id = exchange->correlation_id};
    struct route_inputs inputs;
    struct err err = {0};
    if (route_inputs_read(&inputs, attempt->shown.route, exchange, &request, &err)) {
        try_route_call(attempt, &request);
        try_route_note_key(attempt, &request);
    } else {
        response_set_error(&exchange->response, 400, err.text);
    }
    route_inputs_free(&inputs);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool try_route_show(struct try_route *attempt, int *status, struct err *err) {
    struct exchange *exchange = attempt->exchange;
    struct response *response = &exchange->response;
    response->correlation_name = attempt->options->config->http.correlation_id_header;
    response->head_only = exchange->request.method == METHOD_HEAD;
    problem_apply(response, &exchange->request);
    *status = response->status;
    bool ok = show_answer(&attempt->shown, response, exchange->correlation_id,
                          attempt->options->json, err);
    response_release(response);
    if (ok && attempt->shown.unavailable.len > 0 && !attempt->options->stubs) {
        err_set(err, ERR_UNAVAILABLE, "%s", attempt->shown.unavailable.data);
    }
    return ok;
}

static bool try_route_send(struct try_route *attempt, int *status, struct err *err) {
    bool ok = try_route_read_body(attempt, err);
    if (ok) {
        try_route_put_head(attempt);
        bool good = try_route_parse(attempt, err);
        ok = good || err->kind == ERR_NONE;
        exchange_choose_correlation_id(attempt->exchange->request.fields[FIELD_CORRELATION_ID],
                                       attempt->exchange->correlation_id);
        if (good && try_route_find(attempt) && try_route_admit(attempt)) {
            try_route_answer(attempt);
        }
    }
    return ok && try_route_show(attempt, status, err);
}

/* The scripts load with the stubs: a mistake of their file is found here. */
static bool try_route_open(struct try_route *attempt, struct err *err) {
    attempt->generation = script_generation_load(attempt->options->config, 1, err);
    if (!attempt->generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    attempt->routes = script_generation_routes(attempt->generation, &attempt->route_count);
    if (!outside_open(&attempt->outside, attempt->generation, attempt->options->stubs, err)) {
        return false;
    }
    attempt->instance = script_instance_create(attempt->generation, err);
    if (attempt->instance) {
        script_instance_mute(attempt->instance, attempt->outside.muted);
    }
    return attempt->instance != NULL;
}

bool try_route_run(const struct try_route_options *options, int *status, struct err *err) {
    struct try_route attempt = {.options = options, .exchange = exchange_create()};
    bool ok = try_route_open(&attempt, err) && try_route_send(&attempt, status, err);
    script_instance_destroy(attempt.instance);
    outside_close(&attempt.outside);
    script_generation_unref(attempt.generation);
    exchange_destroy(attempt.exchange);
    show_answer_free(&attempt.shown);
    buffer_free(&attempt.head);
    buffer_free(&attempt.body);
    return ok;
}

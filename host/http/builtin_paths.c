#include "builtin_paths.h"

#include <stdlib.h>

#include "base/problems.h"
#include "base/xalloc.h"
#include "api_description.h"
#include "endpoint.h"

#define JSON "application/json"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define READINESS_WAIT_MS 5000 /* longer than a probe of every dependency takes */

enum builtin_kind { BUILTIN_HEALTH, BUILTIN_METRICS, BUILTIN_OPENAPI, BUILTIN_SERVER };

static const struct {
    const char *path;
    const char *endpoint;
    enum builtin_kind kind;
    enum health_question question; /* for BUILTIN_HEALTH */
} builtin[] = {
    {"/healthz", "healthz", BUILTIN_HEALTH, HEALTH_ALIVE},
    {"/readyz", "readyz", BUILTIN_HEALTH, HEALTH_READY},
    {"/readyz/read", "readyz_read", BUILTIN_HEALTH, HEALTH_READS},
    {"/readyz/consume", "readyz_consume", BUILTIN_HEALTH, HEALTH_CONSUMES},
    {"/metrics", "metrics", BUILTIN_METRICS, 0},
    {"/openapi.json", "openapi", BUILTIN_OPENAPI, 0},
    {"*", "server", BUILTIN_SERVER, 0}, /* OPTIONS * */
};
#define BUILTIN_COUNT (sizeof builtin / sizeof *builtin)

struct builtin_paths {
    struct builtin_sources sources;
    struct cached_response *openapi;
    const struct config *config; /* a reference */
    struct endpoint *endpoints[BUILTIN_COUNT];
};

/* NULL: err. */
static struct cached_response *builtin_paths_describe(const struct script_generation *generation,
                                                      struct err *err) {
    struct buffer document = {0};
    bool ok = api_description_append(generation, false, &document, err);
    struct cached_response *cached =
        ok ? cached_response_create(200, buffer_slice(&document)) : NULL;
    buffer_free(&document);
    return cached;
}

struct builtin_paths *builtin_paths_create(const struct script_generation *generation,
                                           const struct builtin_sources *sources, struct err *err) {
    struct cached_response *openapi = builtin_paths_describe(generation, err);
    if (!openapi) {
        return NULL;
    }
    struct builtin_paths *paths = xcalloc(1, sizeof *paths);
    paths->sources = *sources;
    paths->openapi = openapi;
    paths->config = config_ref(script_generation_config(generation));
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        paths->endpoints[i] = endpoint_of_own(builtin[i].endpoint);
    }
    return paths;
}

void builtin_paths_destroy(struct builtin_paths *paths) {
    if (paths) {
        cached_response_unref(paths->openapi);
        config_unref(paths->config);
        free(paths);
    }
}

/* BUILTIN_COUNT: not builtin. */
static size_t builtin_paths_find(struct slice path) {
    size_t which = 0;
    while (which < BUILTIN_COUNT && !slice_equal(path, slice_of(builtin[which].path))) {
        which++;
    }
    return which;
}

bool builtin_paths_include(const char *path) {
    return builtin_paths_find(slice_of(path)) < BUILTIN_COUNT;
}

bool builtin_paths_leave_routes(const struct script_generation *generation, struct err *err) {
    struct problems problems = {0};
    size_t count;
    const struct script_route *routes = script_generation_routes(generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            if (builtin_paths_include(routes[i].paths[p])) {
                problems_add(&problems, routes[i].name, 0,
                             "the path %s is reserved for the program: choose another",
                             routes[i].paths[p]);
            }
        }
    }
    bool good = problems_report(&problems, err);
    problems_free(&problems);
    return good;
}

/* ---- responses ---------------------------------------------------------------------------- */

static void builtin_paths_set_body(struct exchange *exchange, int status, struct buffer *body,
                                   const char *content_type) {
    response_set_momentary(&exchange->response, cached_response_create(status, buffer_slice(body)),
                           content_type);
    buffer_free(body);
}

static void builtin_paths_answer(const struct builtin_paths *paths, size_t which,
                                 struct exchange *exchange) {
    const struct builtin_sources *sources = &paths->sources;
    struct response *response = &exchange->response;
    struct buffer body = {0};
    bool good;
    switch (builtin[which].kind) {
    case BUILTIN_HEALTH:
        good = sources->health_report(sources->health, builtin[which].question, READINESS_WAIT_MS,
                                      &body);
        builtin_paths_set_body(exchange, good ? 200 : 503, &body, JSON);
        response->unavailable = good ? UNAVAILABLE_NOT : UNAVAILABLE_NOT_READY;
        break;
    case BUILTIN_METRICS:
        sources->metrics(sources->health, paths->config, &body);
        builtin_paths_set_body(exchange, 200, &body, PROMETHEUS);
        break;
    case BUILTIN_OPENAPI:
        response_set(response, &exchange->request, cached_response_ref(paths->openapi), JSON);
        break;
    case BUILTIN_SERVER:
        response_set_options(response, "GET, HEAD, OPTIONS");
        break;
    }
}

/* Metrics read /proc; health may wait for a check of the dependencies. */
static bool builtin_paths_waits(const struct builtin_paths *paths, size_t which) {
    return builtin[which].kind == BUILTIN_METRICS ||
           (builtin[which].kind == BUILTIN_HEALTH && builtin[which].question != HEALTH_ALIVE &&
            !paths->sources.health_is_fresh(paths->sources.health));
}

static void builtin_paths_carry_out(void *context, struct exchange *exchange) {
    builtin_paths_answer(context, exchange->plan.match.route, exchange);
}

bool builtin_paths_plan(struct builtin_paths *paths, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct plan *plan = &exchange->plan;
    size_t which = builtin_paths_find(request->path);
    if (which == BUILTIN_COUNT) {
        return false;
    }
    exchange->endpoint = paths->endpoints[which];
    if (!request_reads(request) && builtin[which].kind != BUILTIN_SERVER) {
        response_set_wrong_method(&exchange->response, "GET, HEAD");
    } else if (request->has_body) {
        response_set_body_refused(&exchange->response);
    } else if (builtin_paths_waits(paths, which)) {
        plan->match.route = which;
        plan->context = paths;
        plan->carry_out = builtin_paths_carry_out;
    } else {
        builtin_paths_answer(paths, which, exchange);
    }
    return true;
}

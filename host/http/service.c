#include "service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../clock.h"
#include "../log.h"
#include "../uuid.h"
#include "../xalloc.h"
#include "auth.h"
#include "endpoint.h"
#include "own.h"
#include "router.h"

#define JSON "application/json"

struct service {
    struct http_options options;
    struct auth *auth;
    struct own *own;
    struct script_generation *generation;
    const struct script_route *routes; /* of the generation */
    size_t route_count;
    struct endpoint *endpoints; /* one a route */
    struct endpoint unknown;    /* no path of ours */
    _Atomic bool stopping;
};

struct service *service_create(const struct http_options *options, struct err *err) {
    struct service *service = xcalloc(1, sizeof *service);
    service->options = *options;
    service->generation = script_pool_generation(options->pool);
    service->routes = script_generation_routes(service->generation, &service->route_count);
    service->endpoints = xcalloc(service->route_count + 1, sizeof *service->endpoints);
    for (size_t i = 0; i < service->route_count; i++) {
        endpoint_init(&service->endpoints[i], service->routes[i].endpoint);
    }
    endpoint_init(&service->unknown, "unknown");
    service->own = own_create(options->config, options->health);
    service->auth = auth_create(options->config, err);
    if (!service->auth) {
        service_destroy(service);
        return NULL;
    }
    return service;
}

void service_destroy(struct service *service) {
    auth_destroy(service->auth);
    own_destroy(service->own);
    script_generation_unref(service->generation);
    free(service->endpoints);
    free(service);
}

void service_stop(struct service *service) {
    atomic_store(&service->stopping, true);
}

/* ---- begin and end ------------------------------------------------------------------------ */

static void set_correlation_id(struct exchange *exchange) {
    struct slice given = exchange->request.fields[FIELD_CORRELATION_ID];
    if (given.data && correlation_id_acceptable(given)) {
        memcpy(exchange->correlation_id, given.data, given.len);
        exchange->correlation_id[given.len] = '\0';
    } else {
        uint8_t id[16];
        uuid_generate_v4(id);
        uuid_format(id, exchange->correlation_id);
    }
}

static void finish(struct service *service, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    int64_t took_us = clock_monotonic_us() - exchange->started_us;
    reply->head_only = request->method == METHOD_HEAD;
    reply->close =
        !request->keep_alive || atomic_load_explicit(&service->stopping, memory_order_relaxed);
    endpoint_count(exchange->endpoint, request->method, reply->status, (double)took_us / 1e6);
    if (log_enabled(LOG_DEBUG)) {
        log_debug("request answered", LOG_TEXT("endpoint", exchange->endpoint->name),
                  LOG_SLICE("method", request->method_name), LOG_INT("status", reply->status),
                  LOG_INT("took_us", took_us));
    }
}

static void fail(struct exchange *exchange, int status, const char *message) {
    reply_set_error(&exchange->reply, status, message);
}

bool service_begin(struct service *service, struct exchange *exchange, struct slice head) {
    struct refusal refusal;
    *exchange =
        (struct exchange){.started_us = clock_monotonic_us(), .endpoint = &service->unknown};
    bool good = request_parse(head, &exchange->request, &refusal);
    set_correlation_id(exchange);
    if (!good) {
        exchange->request.keep_alive = false;
        fail(exchange, refusal.status, refusal.message);
        finish(service, exchange);
    }
    return good;
}

void service_refuse(struct service *service, struct exchange *exchange, struct refusal refusal) {
    *exchange = (struct exchange){.request.method = METHOD_OTHER,
                                  .started_us = clock_monotonic_us(),
                                  .endpoint = &service->unknown};
    set_correlation_id(exchange);
    fail(exchange, refusal.status, refusal.message);
    finish(service, exchange);
}

/* ---- routes ------------------------------------------------------------------------------- */

/* What the computation of a missing answer needs; on the stack of the request's worker. */
struct computation {
    struct service *service;
    struct script_request request;
    int timeout_ms;
};

/* What is left of the request's time. */
static int remaining_ms(const struct service *service, const struct exchange *exchange) {
    return clock_remaining_ms(exchange->started_us +
                              service->options.config->http.request_timeout_ms * 1000LL);
}

/* On a miss: the script's answer. */
static struct answer *compute(void *context, uint64_t **tags, size_t *tag_count, struct err *err) {
    struct computation *computation = context;
    struct script_response response;
    enum script_result result =
        script_pool_answer(computation->service->options.pool, &computation->request,
                           computation->timeout_ms, &response, err);
    struct answer *answer = NULL;
    if (result == SCRIPT_OK) {
        answer = answer_create(response.status, response.body);
        *tags = response.tags;
        *tag_count = response.tag_count;
    } else {
        free(response.tags);
    }
    free((char *)response.body.data);
    return answer;
}

/* "api:batch:{batch_id}" with the path's parameters in place. */
static void expand_key(const char *pattern, const struct router_pairs *params, struct buffer *key) {
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        buffer_append(key, pattern, plain);
        pattern += plain;
        if (!*pattern) {
            break;
        }
        size_t len = strcspn(pattern + 1, "}");
        for (size_t i = 0; i < params->count; i++) {
            if (slice_equal(params->items[i].name, (struct slice){pattern + 1, len})) {
                buffer_append(key, params->items[i].value.data, params->items[i].value.len);
            }
        }
        pattern += len + 2;
    }
}

static void set_failure(struct exchange *exchange, const struct err *err) {
    bool away = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
    log_error("request failed", LOG_TEXT("endpoint", exchange->endpoint->name),
              LOG_TEXT("error", err->text));
    fail(exchange, away ? 503 : 500, away ? "Service unavailable" : "Internal server error");
}

/* The slow half: on a worker. The key is absent where the route is not cached. */
static void ask_script(struct service *service, struct exchange *exchange,
                       const struct router_match *match, struct slice key) {
    const struct script_route *route = &service->routes[match->route];
    struct router_pairs query;
    struct err err = {0};
    const char *problem = router_parse_query(exchange->request.query, &query);
    if (problem) {
        fail(exchange, 400, problem);
        return;
    }
    struct computation computation = {
        .service = service,
        .request = {match->route, match->params.items, match->params.count, query.items,
                    query.count, exchange->correlation_id},
        .timeout_ms = remaining_ms(service, exchange),
    };
    struct answer *answer = cache_get(service->options.cache, key, route->cache_type,
                                      computation.timeout_ms, compute, &computation, &err);
    if (answer) {
        reply_set(&exchange->reply, &exchange->request, answer, JSON);
    } else {
        set_failure(exchange, &err);
    }
}

/* Authentication first, then the process' cache, then all else. */
static bool answer_route(struct service *service, struct exchange *exchange,
                         const struct router_match *match, bool may_block) {
    const struct script_route *route = &service->routes[match->route];
    const struct slice *fields = exchange->request.fields;
    struct buffer key = {0};
    if (route->cache_key) {
        expand_key(route->cache_key, &match->params, &key);
    }
    struct answer *kept = NULL;
    const char *refusal = NULL;
    if (route->authenticated) {
        refusal = auth_refusal(service->auth, fields[FIELD_API_KEY], fields[FIELD_SERVICE_ID]);
    }
    if (refusal) {
        log_info("request refused", LOG_TEXT("endpoint", exchange->endpoint->name),
                 LOG_TEXT("reason", refusal));
        fail(exchange, 401, refusal);
    } else if (exchange->request.has_body) {
        fail(exchange, 413, "A request body is not accepted");
    } else if (route->cache_key && !exchange->request.query.len &&
               (kept = cache_lookup(service->options.cache, buffer_slice(&key)))) {
        reply_set(&exchange->reply, &exchange->request, kept, JSON);
    } else if (may_block) {
        ask_script(service, exchange, match,
                   route->cache_key ? buffer_slice(&key) : (struct slice){0});
    } else {
        buffer_free(&key);
        return false;
    }
    buffer_free(&key);
    return true;
}

static bool find_and_answer(struct service *service, struct exchange *exchange, bool may_block) {
    struct router_match match;
    switch (router_find(service->routes, service->route_count, &exchange->request, &match)) {
    case ROUTER_FOUND:
        exchange->endpoint = &service->endpoints[match.route];
        return answer_route(service, exchange, &match, may_block);
    case ROUTER_BAD_PARAMETER:
        exchange->endpoint = &service->endpoints[match.route];
        fail(exchange, 400, "Invalid path parameter");
        break;
    case ROUTER_WRONG_METHOD:
        snprintf(exchange->reply.allow, REPLY_ALLOW_BYTES, "%s", match.allow);
        fail(exchange, 405, "Method not allowed");
        break;
    case ROUTER_NOT_FOUND:
        fail(exchange, 404, "Not found");
        break;
    }
    return true;
}

bool service_answer(struct service *service, struct exchange *exchange, bool may_block) {
    log_set_correlation_id(slice_of(exchange->correlation_id));
    bool answered = true;
    if (may_block && remaining_ms(service, exchange) == 0) {
        fail(exchange, 503, "Too many requests are waiting");
    } else {
        switch (own_answer(service->own, exchange, may_block)) {
        case OWN_ANSWERED:
            break;
        case OWN_WOULD_BLOCK:
            answered = false;
            break;
        case OWN_NOT_MINE:
            answered = find_and_answer(service, exchange, may_block);
            break;
        }
    }
    if (answered) {
        finish(service, exchange);
    }
    log_set_correlation_id((struct slice){0});
    return answered;
}

#include "api.h"

#include <stdio.h>
#include <stdlib.h>

#include "../clock.h"
#include "../log.h"
#include "../xalloc.h"
#include "credentials.h"
#include "endpoint.h"
#include "own.h"
#include "router.h"

#define JSON "application/json"

struct api {
    struct api_options options;
    struct credentials *keys, *services;
    struct own *own;
    struct script_generation *generation;
    const struct script_route *routes; /* of the generation */
    size_t route_count;
    struct endpoint *endpoints; /* one a route */
};

struct api *api_create(const struct api_options *options, struct err *err) {
    const struct config *config = options->config;
    struct api *api = xcalloc(1, sizeof *api);
    api->options = *options;
    api->generation = script_pool_generation(options->pool);
    api->routes = script_generation_routes(api->generation, &api->route_count);
    api->endpoints = xcalloc(api->route_count + 1, sizeof *api->endpoints);
    for (size_t i = 0; i < api->route_count; i++) {
        endpoint_init(&api->endpoints[i], api->routes[i].endpoint);
    }
    api->own = own_create(config, options->health);
    api->keys = credentials_create("http.api_keys", &config->http.api_keys, err);
    api->services =
        credentials_create("http.allowed_services", &config->http.allowed_services, err);
    if (!api->keys || !api->services) {
        api_destroy(api);
        return NULL;
    }
    return api;
}

void api_destroy(struct api *api) {
    if (!api) {
        return;
    }
    credentials_destroy(api->keys);
    credentials_destroy(api->services);
    own_destroy(api->own);
    script_generation_unref(api->generation);
    free(api->endpoints);
    free(api);
}

/* What the computation of a missing answer needs; on the stack of the request's worker. */
struct computation {
    struct api *api;
    struct script_request request;
    int timeout_ms;
};

/* On a miss: the script's answer. */
static struct answer *compute(void *context, uint64_t **tags, size_t *tag_count, struct err *err) {
    struct computation *computation = context;
    struct script_response response;
    enum script_result result =
        script_pool_answer(computation->api->options.pool, &computation->request,
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
    reply_set_error(&exchange->reply, away ? 503 : 500,
                    away ? "Service unavailable" : "Internal server error");
}

/* The slow half: on a worker. The key is absent where the route is not cached. */
static void ask_script(struct api *api, struct exchange *exchange, const struct router_match *match,
                       struct slice key) {
    const struct script_route *route = &api->routes[match->route];
    struct router_pairs query;
    struct err err = {0};
    const char *problem = router_parse_query(exchange->request.query, &query);
    if (problem) {
        reply_set_error(&exchange->reply, 400, problem);
        return;
    }
    struct computation computation = {
        .api = api,
        .request = {match->route, match->params.items, match->params.count, query.items,
                    query.count, exchange->correlation_id},
        .timeout_ms = clock_remaining_ms(exchange->deadline_us),
    };
    struct answer *answer = cache_get(api->options.cache, key, route->cache_type,
                                      computation.timeout_ms, compute, &computation, &err);
    if (answer) {
        reply_set(&exchange->reply, &exchange->request, answer, JSON);
    } else {
        set_failure(exchange, &err);
    }
}

/* NULL, or the message of the 401. The time taken does not tell which of the two was wrong. */
static const char *refusal_of(const struct api *api, struct slice key, struct slice service_id) {
    if (key.len == 0 || service_id.len == 0) {
        return "Missing authentication";
    }
    bool key_ok = credentials_include(api->keys, key);
    bool service_ok = credentials_include(api->services, service_id);
    return key_ok && service_ok ? NULL : "Invalid credentials";
}

/* Authentication first, then the process' cache, then all else. */
static bool answer_route(struct api *api, struct exchange *exchange,
                         const struct router_match *match, bool may_block) {
    const struct script_route *route = &api->routes[match->route];
    const struct slice *fields = exchange->request.fields;
    struct buffer key = {0};
    if (route->cache_key) {
        expand_key(route->cache_key, &match->params, &key);
    }
    struct answer *kept = NULL;
    const char *refusal = NULL;
    if (route->authenticated) {
        refusal = refusal_of(api, fields[FIELD_API_KEY], fields[FIELD_SERVICE_ID]);
    }
    if (refusal) {
        log_info("request refused", LOG_TEXT("endpoint", exchange->endpoint->name),
                 LOG_TEXT("reason", refusal));
        reply_set_error(&exchange->reply, 401, refusal);
    } else if (exchange->request.has_body) {
        reply_set_error(&exchange->reply, 413, "A request body is not accepted");
    } else if (route->cache_key && !exchange->request.query.len &&
               (kept = cache_lookup(api->options.cache, buffer_slice(&key)))) {
        reply_set(&exchange->reply, &exchange->request, kept, JSON);
    } else if (may_block) {
        ask_script(api, exchange, match, route->cache_key ? buffer_slice(&key) : (struct slice){0});
    } else {
        buffer_free(&key);
        return false;
    }
    buffer_free(&key);
    return true;
}

static bool find_and_answer(struct api *api, struct exchange *exchange, bool may_block) {
    struct router_match match;
    switch (router_find(api->routes, api->route_count, &exchange->request, &match)) {
    case ROUTER_FOUND:
        exchange->endpoint = &api->endpoints[match.route];
        return answer_route(api, exchange, &match, may_block);
    case ROUTER_BAD_PARAMETER:
        exchange->endpoint = &api->endpoints[match.route];
        reply_set_error(&exchange->reply, 400, "Invalid path parameter");
        break;
    case ROUTER_WRONG_METHOD:
        snprintf(exchange->reply.allow, REPLY_ALLOW_BYTES, "%s", match.allow);
        reply_set_error(&exchange->reply, 405, "Method not allowed");
        break;
    case ROUTER_NOT_FOUND:
        reply_set_error(&exchange->reply, 404, "Not found");
        break;
    }
    return true;
}

/* A site's answer. */
static bool answer(void *context, struct exchange *exchange, bool may_block) {
    struct api *api = context;
    switch (own_answer(api->own, exchange, may_block)) {
    case OWN_ANSWERED:
        return true;
    case OWN_WOULD_BLOCK:
        return false;
    case OWN_NOT_MINE:
        break;
    }
    return find_and_answer(api, exchange, may_block);
}

struct site api_site(struct api *api) {
    return (struct site){api, answer};
}

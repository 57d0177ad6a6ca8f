#include "api_site.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/reaper.h"
#include "base/uuid.h"
#include "base/xalloc.h"
#include "admission.h"
#include "builtin_paths.h"
#include "compression.h"
#include "endpoint.h"
#include "live.h"
#include "route_inputs.h"
#include "route_response.h"
#include "rate_limit.h"
#include "request_body.h"
#include "router.h"
#include "vocabulary.h"

#define SHOWN_SERVICE_BYTES 64
#define NO_ROUTE SIZE_MAX /* of an answer to a path that no route has any longer */

struct api_scripts {
    struct api *api; /* NULL until the api owns them */
    struct script_generation *generation;
    uint64_t hash;                           /* of the generation's hash */
    const struct script_route *routes;       /* the generation owns them */
    const struct config_pairs *vocabularies; /* by caller; the generation owns them */
    int compress_min_bytes;                  /* http.compress_min_bytes */
    struct endpoint **endpoints;             /* one for each route */
    size_t route_count;
    struct script_route *live_routes; /* the streams of live routes, as routes of their own */
    size_t *live_of;                  /* the index of each one's route */
    struct endpoint **live_endpoints;
    size_t live_count;
    struct script_pool *pool;
    struct builtin_paths *builtin;
    int users;    /* requests under way; guarded by the api's lock, as is `retired` */
    bool retired; /* replaced: freed without users */
};

struct api {
    struct cache *cache;
    struct live *live;
    struct reaper *reaper;
    pthread_mutex_t lock; /* guards what follows, and the users of all scripts */
    struct api_scripts *scripts;
    struct admission *admission; /* from the newest settings, whichever scripts run */
};

/* ---- admission ----------------------------------------------------------------------------- */

bool api_admit(struct api *api, const struct config *config, struct err *err) {
    struct admission *admission = admission_create(config, err);
    if (!admission) {
        return false;
    }
    const struct problems *warnings = admission_warnings(admission);
    for (size_t i = 0; i < warnings->count; i++) {
        log_warning("setting is probably wrong", LOG_TEXT("setting", warnings->items[i].text));
    }
    pthread_mutex_lock(&api->lock);
    struct admission *old = api->admission;
    api->admission = admission;
    bool revokes = old && !admission_includes(admission, old);
    pthread_mutex_unlock(&api->lock);
    if (revokes) { /* each client has to be admitted again */
        live_end_all(api->live);
    }
    admission_unref(old);
    return true;
}

void api_put_warnings(struct api *api, struct buffer *json) {
    pthread_mutex_lock(&api->lock);
    struct admission *admission = admission_ref(api->admission);
    pthread_mutex_unlock(&api->lock);
    const struct problems *warnings = admission_warnings(admission);
    for (size_t i = 0; i < warnings->count; i++) {
        json_put_text(json, NULL, slice_of(warnings->items[i].text));
    }
    admission_unref(admission);
}

/* Names the service if it is allowed or the key was right: then it is no secret. */
static char *api_site_explain_refusal(const struct admission *admission,
                                      enum admission_result result, struct slice service) {
    struct buffer text = {0};
    bool known = admission_knows_service(admission, service); /* in any case: it takes time */
    buffer_append_text(&text, admission_reason(result));
    if (known || result == ADMISSION_SERVICE_NOT_ALLOWED) {
        size_t len = service.len < SHOWN_SERVICE_BYTES ? service.len : SHOWN_SERVICE_BYTES;
        buffer_append_format(&text, ", service %.*s", (int)len, service.data);
    }
    return text.data;
}

static char *api_site_explain_rate(struct slice caller) {
    struct buffer text = {0};
    size_t len = caller.len < SHOWN_SERVICE_BYTES ? caller.len : SHOWN_SERVICE_BYTES;
    buffer_append_format(&text, "above `rate_limit` of the route, service %.*s", (int)len,
                         caller.data);
    return text.data;
}

/* False: the response is a 401. */
static bool api_site_admit_request(const struct admission *admission, struct exchange *exchange) {
    const struct slice *fields = exchange->request.fields;
    enum admission_result result =
        admission_judge(admission, fields[FIELD_API_KEY], fields[FIELD_CALLER], exchange->client);
    if (result != ADMISSION_GOOD) {
        endpoint_count_unauthorized(exchange->endpoint, result);
        exchange->why = api_site_explain_refusal(admission, result, fields[FIELD_CALLER]);
        response_set_error(&exchange->response, 401, admission_message(result));
    }
    return result == ADMISSION_GOOD;
}

/* ---- scripts ------------------------------------------------------------------------------- */

static void api_site_list_live(struct api_scripts *scripts) {
    scripts->live_routes = xcalloc(scripts->route_count + 1, sizeof *scripts->live_routes);
    scripts->live_of = xcalloc(scripts->route_count + 1, sizeof *scripts->live_of);
    scripts->live_endpoints = xcalloc(scripts->route_count + 1, sizeof(struct endpoint *));
    for (size_t i = 0; i < scripts->route_count; i++) {
        const struct script_route *route = &scripts->routes[i];
        if (route->live_count > 0) {
            struct buffer name = {0};
            size_t at = scripts->live_count++;
            scripts->live_routes[at] = *route;
            scripts->live_routes[at].paths = route->live_paths;
            scripts->live_routes[at].path_count = route->live_count;
            scripts->live_of[at] = i;
            buffer_append_format(&name, "%s_live", route->endpoint);
            scripts->live_endpoints[at] = endpoint_of(name.data);
            buffer_free(&name);
        }
    }
}

struct api_scripts *api_scripts_create(struct script_generation *generation,
                                       const struct builtin_sources *sources, struct err *err) {
    if (!builtin_paths_leave_routes(generation, err)) {
        return NULL;
    }
    struct api_scripts *scripts = xcalloc(1, sizeof *scripts);
    scripts->generation = script_generation_ref(generation);
    scripts->vocabularies = &script_generation_config(generation)->http.vocabularies;
    scripts->compress_min_bytes = script_generation_config(generation)->http.compress_min_bytes;
    scripts->hash = hash64(slice_of(script_generation_hash(generation)));
    scripts->routes = script_generation_routes(generation, &scripts->route_count);
    scripts->endpoints = xcalloc(scripts->route_count + 1, sizeof(struct endpoint *));
    for (size_t i = 0; i < scripts->route_count; i++) {
        scripts->endpoints[i] = endpoint_of(scripts->routes[i].endpoint);
    }
    api_site_list_live(scripts);
    scripts->builtin = builtin_paths_create(generation, sources, err);
    scripts->pool = scripts->builtin ? script_pool_create(generation, err) : NULL;
    if (!scripts->pool) {
        api_scripts_destroy(scripts);
        return NULL;
    }
    return scripts;
}

void api_scripts_destroy(struct api_scripts *scripts) {
    if (!scripts) {
        return;
    }
    builtin_paths_destroy(scripts->builtin);
    script_pool_destroy(scripts->pool);
    script_generation_unref(scripts->generation);
    free(scripts->endpoints);
    free(scripts->live_routes);
    free(scripts->live_of);
    free(scripts->live_endpoints);
    free(scripts);
}

/* The current scripts, with one more user; *admission has a reference. */
static struct api_scripts *api_site_begin_use(struct api *api, struct admission **admission) {
    pthread_mutex_lock(&api->lock);
    struct api_scripts *scripts = api->scripts;
    scripts->users++;
    *admission = admission_ref(api->admission);
    pthread_mutex_unlock(&api->lock);
    return scripts;
}

static void api_site_destroy_retired(void *scripts) {
    api_scripts_destroy(scripts);
}

static void api_site_end_use(void *held) {
    struct api_scripts *scripts = held;
    struct api *api = scripts->api;
    pthread_mutex_lock(&api->lock);
    bool last = --scripts->users == 0 && scripts->retired;
    pthread_mutex_unlock(&api->lock);
    if (last) {
        reaper_give(api->reaper, api_site_destroy_retired, scripts);
    }
}

void api_replace(struct api *api, struct api_scripts *scripts) {
    pthread_mutex_lock(&api->lock);
    struct api_scripts *old = api->scripts;
    api->scripts = scripts;
    scripts->api = api;
    old->retired = true;
    bool unused = old->users == 0;
    pthread_mutex_unlock(&api->lock);
    if (unused) {
        reaper_give(api->reaper, api_site_destroy_retired, old);
    }
    live_refresh(api->live);
}

/* ---- plans: a request keeps one set of scripts from begin to end ---------------------------- */

/* On the stack of the request's worker. */
struct computation {
    struct script_pool *pool;
    struct script_request request;
    int timeout_ms;
    struct script_headers headers; /* of the response; the caller frees its lines */
};

/* For cache_get: calls the route. */
static struct cached_response *api_site_compute(void *context, uint64_t **tags, size_t *tag_count,
                                                struct err *err) {
    struct computation *computation = context;
    struct script_response response;
    enum script_result result = script_pool_answer(computation->pool, &computation->request,
                                                   computation->timeout_ms, &response, err);
    struct cached_response *cached = NULL;
    if (result == SCRIPT_OK) {
        cached = cached_response_create(response.status, response.body);
        *tags = response.tags;
        *tag_count = response.tag_count;
        computation->headers = response.headers;
        response.tags = NULL; /* the cache frees them */
        response.headers.lines = NULL;
    }
    script_response_free(&response);
    return cached;
}

/* Replaces the {parameters} of a pattern such as "order:{order_id}". */
static void api_site_expand_key(const char *pattern, const struct router_pairs *params,
                                struct buffer *key) {
    buffer_clear(key);
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        size_t len = pattern[plain] ? strcspn(pattern + plain, "}") + 1 : 0; /* with braces */
        buffer_append(key, pattern, plain);
        for (size_t i = 0; len > 0 && i < params->count; i++) {
            struct slice value = params->items[i].value;
            if (slice_equal(params->items[i].name, (struct slice){pattern + plain + 1, len - 2})) {
                buffer_append(key, value.data, value.len);
            }
        }
        pattern += plain + len;
    }
}

/* Takes the reference; translates the body into the caller's vocabulary. */
static void api_site_set_cached(const struct api_scripts *scripts, struct exchange *exchange,
                                struct cached_response *cached) {
    const struct script_route *route = &scripts->routes[exchange->plan.match.route];
    route_response_set(&exchange->response, &exchange->request, cached, route,
                       scripts->vocabularies);
}

/* Bodies of another media type may be compressed already. */
static void api_site_compress(const struct api_scripts *scripts, struct exchange *exchange) {
    if (!exchange->response.own_content_type) {
        compression_apply(&exchange->response, &exchange->request, scripts->compress_min_bytes);
    }
}

/* Whether a worker has to make the response of the cached one: the loop does not compress. */
static bool api_site_needs_worker(const struct api_scripts *scripts,
                                  const struct exchange *exchange,
                                  const struct cached_response *cached) {
    const struct request *request = &exchange->request;
    const struct script_route *route = &scripts->routes[exchange->plan.match.route];
    if (!compression_is_due(request, cached, scripts->compress_min_bytes)) {
        return false;
    }
    /* A translated body is not kept, and so compressed each time. */
    return !cached_response_is_gzipped(cached) ||
           route_response_vocabulary(scripts->vocabularies, route, request);
}

static void api_site_set_refused(struct exchange *exchange, const struct err *err) {
    response_set_refused(&exchange->response, 400, err->text,
                         "The request does not fit the route's declaration");
}

/* On a worker. cache_get looks into the process' cache again: the response may have been stored
 * while the request was queued. */
static void api_site_ask_script(void *context, struct exchange *exchange) {
    struct api_scripts *scripts = context;
    const struct plan *plan = &exchange->plan;
    struct err err = {0};
    struct route_inputs inputs;
    struct computation computation = {
        .pool = scripts->pool,
        .request = {.route = plan->match.route, .correlation_id = exchange->correlation_id},
        .timeout_ms = clock_remaining_ms(exchange->deadline_us),
    };
    if (!route_inputs_read(&inputs, &scripts->routes[plan->match.route], exchange,
                           &computation.request, &err)) {
        api_site_set_refused(exchange, &err);
        route_inputs_free(&inputs);
        return;
    }
    struct cached_response *cached =
        cache_get(scripts->api->cache, &plan->key, computation.timeout_ms, api_site_compute,
                  &computation, &err);
    route_inputs_free(&inputs);
    if (cached) {
        api_site_set_cached(scripts, exchange, cached);
        route_response_set_headers(&exchange->response, &computation.headers);
        api_site_compress(scripts, exchange);
    } else {
        exchange->why = xstrdup(err.text);
        route_response_set_failure(&exchange->response, &err);
    }
}

/* Answers from the process' cache, or plans api_site_ask_script. */
static void api_site_plan_answer(struct api_scripts *scripts, struct exchange *exchange) {
    struct plan *plan = &exchange->plan;
    const struct script_route *route = &scripts->routes[plan->match.route];
    struct cached_response *kept = NULL;
    plan->key = (struct cache_key){.type = route->cache_type, .scripts = scripts->hash};
    if (route->cache_key) {
        api_site_expand_key(route->cache_key, &plan->match.params, &plan->key_text);
        plan->key.text = buffer_slice(&plan->key_text);
        kept = cache_lookup(scripts->api->cache, &plan->key);
    }
    if (kept && api_site_needs_worker(scripts, exchange, kept)) {
        cached_response_unref(kept);
        kept = NULL;
    }
    if (kept) {
        api_site_set_cached(scripts, exchange, kept);
        api_site_compress(scripts, exchange);
    } else {
        plan->context = scripts;
        plan->takes_body = route->body != NULL;
        plan->carry_out = api_site_ask_script;
    }
}

/* False: the response is a 429. A route without authentication has one bucket for all: a caller
 * could name itself as it likes. */
static bool api_site_is_within_rate(const struct script_route *route, struct exchange *exchange) {
    struct slice caller =
        route->authenticated ? exchange->request.fields[FIELD_CALLER] : slice_of("");
    int retry_after_s =
        rate_limit_take(&exchange->endpoint->rates, &route->rate, caller, clock_monotonic_us());
    if (retry_after_s > 0) {
        endpoint_count_rate_limited(exchange->endpoint, caller);
        exchange->why = api_site_explain_rate(caller);
        response_set_too_many(&exchange->response, retry_after_s);
    }
    return retry_after_s == 0;
}

/* False: the response is a 400. */
static bool api_site_allows_query(const struct script_route *route,
                                  const struct router_pairs *query, struct exchange *exchange) {
    struct err err;
    if (!route->query) {
        return true;
    }
    bool known = script_query_known(route, query->items, query->count, &err);
    if (!known) {
        api_site_set_refused(exchange, &err);
    }
    return known;
}

/* ---- live streams -------------------------------------------------------------------------- */

static bool api_site_hears(void *context) {
    const struct api *api = context;
    return cache_hears(api->cache);
}

/* For live.h: asks the route of the path, by the scripts that run now. A path that no route has any
 * longer ends its streams. */
static bool api_site_ask_live(void *context, struct slice path, struct live_answer *answer,
                              struct err *err) {
    struct api *api = context;
    struct router_match match;
    const struct request request = {
        .method_name = slice_of("GET"), .method = METHOD_GET, .path = path};
    struct admission *admission;
    struct api_scripts *scripts = api_site_begin_use(api, &admission);
    admission_unref(admission);
    answer->held = scripts;
    if (router_find(scripts->live_routes, scripts->live_count, &request, &match) != ROUTER_FOUND) {
        answer->cached = cached_response_create(410, slice_of("{\"error\":\"Gone\"}"));
        answer->about = NO_ROUTE;
        return true;
    }
    answer->about = scripts->live_of[match.route];
    char correlation_id[CORRELATION_MAX_BYTES + 1];
    uint8_t id[16];
    uuid_generate_v4(id);
    uuid_format(id, correlation_id);
    struct computation computation = {
        .pool = scripts->pool,
        .request = {.route = answer->about,
                    .params = match.params.items,
                    .param_count = match.params.count,
                    .correlation_id = correlation_id},
        .timeout_ms = script_generation_config(scripts->generation)->http.request_timeout_ms,
    };
    answer->cached = api_site_compute(&computation, &answer->tags, &answer->tag_count, err);
    if (!answer->cached) {
        api_site_end_use(scripts);
    }
    return answer->cached != NULL;
}

static struct cached_response *api_site_translate_live(const struct live_answer *answer,
                                                       const char *vocabulary) {
    const struct api_scripts *scripts = answer->held;
    if (answer->about == NO_ROUTE) {
        return cached_response_ref(answer->cached);
    }
    return vocabulary_apply(cached_response_ref(answer->cached),
                            scripts->routes[answer->about].words, *vocabulary ? vocabulary : NULL);
}

/* `answer=true`, `false` or nothing. */
static bool api_site_wants_answer(const struct router_pairs *query, bool *wants) {
    const struct script_pair *pair = &query->items[0];
    *wants = query->count == 1 && slice_equal(pair->value, slice_of("true"));
    return query->count == 0 || (query->count == 1 && slice_equal(pair->name, slice_of("answer")) &&
                                 (*wants || slice_equal(pair->value, slice_of("false"))));
}

static void api_site_begin_stream(struct api_scripts *scripts, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    const struct config *config = script_generation_config(scripts->generation);
    const struct script_route *route = &scripts->live_routes[exchange->plan.match.route];
    struct live_request wanted = {
        .path = request->path,
        .last_event_id = request->fields[FIELD_LAST_EVENT_ID],
        .vocabulary = route_response_vocabulary(scripts->vocabularies, route, request),
    };
    struct live_reader *reader = NULL;
    if (!api_site_wants_answer(&exchange->plan.query, &wanted.wants_answer)) {
        response_set_error(&exchange->response, 400,
                           "A stream takes the query parameter answer=true or answer=false");
        return;
    }
    if (request->method != METHOD_HEAD) {
        reader =
            live_reader_create(scripts->api->live, &wanted, (size_t)config->http.max_live_readers);
        if (!reader) {
            response_set_unavailable(&exchange->response, UNAVAILABLE_CONNECTIONS);
            return;
        }
    }
    response_set_stream(&exchange->response, reader);
}

/* A route, or the stream of one: *is_live, and the match has the stream's index. */
static enum router_result api_site_find(const struct api_scripts *scripts,
                                        struct exchange *exchange, bool *is_live) {
    const struct request *request = &exchange->request;
    struct router_match *match = &exchange->plan.match;
    enum router_result found = router_find(scripts->routes, scripts->route_count, request, match);
    *is_live = found == ROUTER_NOT_FOUND && scripts->live_count > 0;
    if (*is_live) {
        found = router_find(scripts->live_routes, scripts->live_count, request, match);
    }
    if (found == ROUTER_FOUND || found == ROUTER_BAD_PARAMETER) {
        exchange->endpoint =
            *is_live ? scripts->live_endpoints[match->route] : scripts->endpoints[match->route];
    }
    return found;
}

static void api_site_plan_route(struct api_scripts *scripts, const struct admission *admission,
                                struct exchange *exchange) {
    struct request *request = &exchange->request;
    struct router_match *match = &exchange->plan.match;
    bool is_live;
    enum router_result found = api_site_find(scripts, exchange, &is_live);
    if (found != ROUTER_FOUND) {
        router_refuse(found, match, &exchange->response);
        return;
    }
    const struct script_route *routes = is_live ? scripts->live_routes : scripts->routes;
    if (routes[match->route].authenticated && !api_site_admit_request(admission, exchange)) {
        return;
    }
    const struct script_route *route = &routes[match->route];
    if (route->rate.interval_ns > 0 && !api_site_is_within_rate(route, exchange)) {
        return;
    }
    struct router_pairs *query = &exchange->plan.query;
    const char *problem = router_parse_query(request->query, query);
    if (!request_body_fits(request, route->body, &exchange->response)) {
        return;
    }
    if (problem) {
        response_set_error(&exchange->response, 400, problem);
    } else if (is_live) {
        api_site_begin_stream(scripts, exchange);
    } else if (api_site_allows_query(route, query, exchange)) {
        api_site_plan_answer(scripts, exchange);
    }
}

/* A planned request keeps using its scripts until the plan is released. */
static void api_site_plan(void *context, struct exchange *exchange) {
    struct api *api = context;
    struct admission *admission;
    struct api_scripts *scripts = api_site_begin_use(api, &admission);
    struct plan *plan = &exchange->plan;
    if (!builtin_paths_plan(scripts->builtin, exchange)) {
        api_site_plan_route(scripts, admission, exchange);
    }
    admission_unref(admission);
    if (plan->carry_out) {
        plan->held = scripts;
        plan->release = api_site_end_use;
    } else {
        api_site_end_use(scripts);
    }
}

/* ---- create and destroy --------------------------------------------------------------------- */

struct api *api_create(struct cache *cache, struct api_scripts *scripts, struct err *err) {
    struct api *api = xcalloc(1, sizeof *api);
    api->reaper = reaper_create();
    if (!api->reaper) {
        err_set(err, ERR_INTERNAL, "cannot start the thread that frees replaced scripts");
        api_scripts_destroy(scripts);
        free(api);
        return NULL;
    }
    api->cache = cache;
    api->scripts = scripts;
    scripts->api = api;
    pthread_mutex_init(&api->lock, NULL);
    const struct live_site site = {api, api_site_ask_live, api_site_translate_live,
                                   api_site_end_use, api_site_hears};
    api->live = live_create(&site, err);
    if (!api->live) {
        api_destroy(api);
        return NULL;
    }
    cache_listen(cache, live_invalidate, api->live);
    if (!api_admit(api, script_generation_config(scripts->generation), err)) {
        api_destroy(api);
        return NULL;
    }
    return api;
}

void api_destroy(struct api *api) {
    if (api) {
        if (api->live) {
            cache_listen(api->cache, NULL, NULL);
        }
        live_destroy(api->live);
        reaper_destroy(api->reaper);
        api_scripts_destroy(api->scripts);
        admission_unref(api->admission);
        pthread_mutex_destroy(&api->lock);
        free(api);
    }
}

struct site api_site(struct api *api) {
    return (struct site){api, api_site_plan};
}

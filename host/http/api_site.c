#include "api_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/reaper.h"
#include "base/xalloc.h"
#include "admission.h"
#include "builtin_paths.h"
#include "compression.h"
#include "endpoint.h"
#include "route_inputs.h"
#include "route_response.h"
#include "route_stream.h"
#include "rate_limit.h"
#include "request_body.h"
#include "router.h"

#define SHOWN_SERVICE_BYTES 64
#define LOOP_TRANSLATES_BYTES 65536

/* ---- admission ----------------------------------------------------------------------------- */

uint64_t api_begin_admission(struct api *api) {
    pthread_mutex_lock(&api->lock);
    uint64_t turn = ++api->last_turn;
    pthread_mutex_unlock(&api->lock);
    return turn;
}

/* Replaces the admission, unless a later turn did, and releases the one that is not used.
 * *revokes: what the former one admitted may be refused now. */
static bool api_replace_admission(struct api *api, uint64_t turn, struct admission *admission,
                                  bool *revokes) {
    pthread_mutex_lock(&api->lock);
    bool newest = turn > api->admitted_turn;
    struct admission *unused = newest ? api->admission : admission;
    *revokes = newest && unused && !admission_includes(admission, unused);
    if (newest) {
        api->admission = admission;
        api->admitted_turn = turn;
    }
    pthread_mutex_unlock(&api->lock);
    admission_unref(unused);
    return newest;
}

bool api_admit(struct api *api, uint64_t turn, const struct config *config, struct err *err) {
    struct admission *admission = admission_create(config, err);
    if (!admission) {
        return false;
    }
    const struct problems *warnings = admission_warnings(admission);
    for (size_t i = 0; i < warnings->count; i++) {
        log_warning("setting is probably wrong", LOG_TEXT("setting", warnings->items[i].text));
    }
    bool revokes;
    if (!api_replace_admission(api, turn, admission, &revokes)) {
        return true;
    }
    if (revokes) { /* each client has to be admitted again */
        live_end_all(api->live);
    }
    refresh_bound(api->refresh, config->http.states);
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
        admission_judge(admission, fields[FIELD_API_KEY], fields[FIELD_CALLER],
                        exchange->is_certified ? exchange->client : NULL);
    if (result != ADMISSION_GOOD) {
        endpoint_count_unauthorized(exchange->endpoint, result);
        exchange->why = api_site_explain_refusal(admission, result, fields[FIELD_CALLER]);
        response_set_error(&exchange->response, 401, admission_message(result));
    }
    return result == ADMISSION_GOOD;
}

/* ---- scripts ------------------------------------------------------------------------------- */

struct api_scripts *api_begin_use(struct api *api, struct admission **admission) {
    pthread_mutex_lock(&api->lock);
    struct api_scripts *scripts = api->scripts;
    scripts->users++;
    if (admission) {
        *admission = admission_ref(api->admission);
    }
    pthread_mutex_unlock(&api->lock);
    return scripts;
}

static void api_site_destroy_retired(void *scripts) {
    api_scripts_destroy(scripts);
}

void api_end_use(void *held) {
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

struct cached_response *api_compute(void *context, uint64_t **tags, size_t *tag_count,
                                    struct err *err) {
    struct api_computation *computation = context;
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

/* Whether a worker has to make the response of the cached one: the loop does not compress, and
 * translates short ones only. */
static bool api_site_needs_worker(const struct api_scripts *scripts,
                                  const struct exchange *exchange,
                                  const struct cached_response *cached) {
    const struct request *request = &exchange->request;
    const struct script_route *route = &scripts->routes[exchange->plan.match.route];
    bool translated = route_response_vocabulary(scripts->vocabularies, route,
                                                request->fields[FIELD_CALLER]) != NULL;
    if (translated && cached->body.len > LOOP_TRANSLATES_BYTES) {
        return true;
    }
    if (!compression_is_due(request, cached, scripts->compress_min_bytes)) {
        return false;
    }
    /* A translated body is not kept, and so compressed each time. */
    return !cached_response_is_gzipped(cached) || translated;
}

/* A stale response: sees to its refresh, and logs why it is served. */
static void api_site_note_serving(struct api_scripts *scripts, const struct exchange *exchange,
                                  const struct cache_serving *serving, const struct err *err) {
    if (serving->wants_refresh) {
        api_give_refresh(scripts, exchange);
    }
    if (serving->failed && err && err->text[0]) {
        api_log_stale(exchange->endpoint->name, err);
    }
}

/* On a worker. cache_get looks into the process' cache again: the response may have been stored
 * while the request was queued. */
static void api_site_ask_script(void *context, struct exchange *exchange) {
    struct api_scripts *scripts = context;
    const struct plan *plan = &exchange->plan;
    struct err err = {0};
    struct route_inputs inputs;
    struct api_computation computation = {
        .pool = scripts->pool,
        .request = {.route = plan->match.route, .correlation_id = exchange->correlation_id},
        .timeout_ms = clock_remaining_ms(exchange->deadline_us),
    };
    if (!route_inputs_read(&inputs, &scripts->routes[plan->match.route], exchange,
                           &computation.request, &err)) {
        route_inputs_set_refused(exchange, &computation.request.inputs, &err);
        route_inputs_free(&inputs);
        return;
    }
    struct cache_serving serving;
    struct cached_response *cached =
        cache_get(scripts->api->cache, &plan->key, computation.timeout_ms, api_compute,
                  &computation, &serving, &err);
    route_inputs_free(&inputs);
    if (cached) {
        api_site_note_serving(scripts, exchange, &serving, &err);
        api_site_set_cached(scripts, exchange, cached);
        route_response_set_headers(&exchange->response, &computation.headers);
        api_site_compress(scripts, exchange);
    } else {
        exchange->why = xstrdup(err.text);
        route_response_set_failure(&exchange->response, &err);
    }
}

/* Sets the plan's key; it stays without a text where no response is cached. */
static void api_site_plan_key(const struct api_scripts *scripts, const struct script_route *route,
                              struct exchange *exchange) {
    struct plan *plan = &exchange->plan;
    plan->key = scripts->keys[plan->match.route];
    if (route->cache_key) {
        struct route_inputs inputs;
        struct script_request request = {0};
        route_inputs_take(&inputs, route, exchange, &request);
        if (script_cache_key(route, &request, &plan->key_text)) {
            plan->key.text = buffer_slice(&plan->key_text);
        }
        route_inputs_free(&inputs);
    }
}

/* On a worker. */
static void api_site_stream(void *context, struct exchange *exchange) {
    struct api_scripts *scripts = context;
    const struct route_stream_source source = {
        .pool = scripts->pool,
        .route = &scripts->routes[exchange->plan.match.route],
        .config = script_generation_config(scripts->generation),
    };
    route_stream_carry_out(&source, exchange);
}

/* Answers from the process' cache, or plans what a worker does. */
static void api_site_plan_answer(struct api_scripts *scripts, struct exchange *exchange) {
    struct plan *plan = &exchange->plan;
    const struct script_route *route = &scripts->routes[plan->match.route];
    struct cache_serving serving = {0};
    struct cached_response *kept = NULL;
    api_site_plan_key(scripts, route, exchange);
    if (plan->key.text.data) {
        kept = cache_lookup(scripts->api->cache, &plan->key, &serving);
    }
    if (kept) {
        api_site_note_serving(scripts, exchange, &serving, NULL);
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
        plan->runs_script = true;
        plan->carry_out = route->streams ? api_site_stream : api_site_ask_script;
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
    const struct request *request = &exchange->request;
    bool reads_body = request->has_body && !request->fields[FIELD_EXPECT].data;
    struct err err;
    if (!route->query || reads_body) { /* then the worker checks it: the connection stays */
        return true;
    }
    bool known = script_query_known(route, query->items, query->count, &err);
    if (!known) {
        route_inputs_set_refused(exchange, &(struct script_inputs){.refused_part = "query"}, &err);
    }
    return known;
}

/* ---- routing ------------------------------------------------------------------------------- */

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
    if (!scripts->pool) {
        response_set_unavailable(&exchange->response, UNAVAILABLE_NO_ROUTES);
        return;
    }
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
        api_begin_stream(scripts, exchange);
    } else if (api_site_allows_query(route, query, exchange)) {
        api_site_plan_answer(scripts, exchange);
    }
}

/* A planned request keeps using its scripts until the plan is released. */
static void api_site_plan(void *context, struct exchange *exchange) {
    struct api *api = context;
    struct admission *admission;
    struct api_scripts *scripts = api_begin_use(api, &admission);
    struct plan *plan = &exchange->plan;
    if (!builtin_paths_plan(scripts->builtin, exchange)) {
        api_site_plan_route(scripts, admission, exchange);
    }
    admission_unref(admission);
    if (plan->carry_out) {
        plan->held = scripts;
        plan->release = api_end_use;
    } else {
        api_end_use(scripts);
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
    struct live_site site = api_live_site;
    site.context = api;
    api->live = live_create(&site, err);
    api->refresh = api->live ? refresh_create(api_refresh, api, err) : NULL;
    if (!api->refresh) {
        api_destroy(api);
        return NULL;
    }
    cache_listen(cache, live_invalidate, api->live);
    if (!api_admit(api, api_begin_admission(api), script_generation_config(scripts->generation),
                   err)) {
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
        refresh_destroy(api->refresh);
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

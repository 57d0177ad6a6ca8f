/* api_refresh: stale responses, which are computed again in the background, or served because they
 * cannot be. */
#include "api_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "kept_request.h"

static struct {
    pthread_mutex_t lock;
    struct log_limit limit;
} stale_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

void api_log_stale(const char *endpoint, const struct err *err) {
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&stale_log.lock);
    size_t left_out = log_limit_take(&stale_log.limit, now_us);
    bool admitted = log_limit_admits(&stale_log.limit, now_us);
    pthread_mutex_unlock(&stale_log.lock);
    if (left_out > 0) {
        log_warning("log lines on stale responses were left out",
                    LOG_INT("lines", (int64_t)left_out));
    }
    if (admitted) {
        log_warning("route failed: a stale response stays in use", LOG_TEXT("endpoint", endpoint),
                    LOG_TEXT("error", err->text));
    }
}

void api_give_refresh(struct api_scripts *scripts, const struct exchange *exchange) {
    const struct script_route *route = &scripts->routes[exchange->plan.match.route];
    struct buffer text = {0};
    kept_request_append(route, exchange, &text);
    if (!refresh_give(scripts->api->refresh, route->endpoint, buffer_slice(&text))) {
        cache_cancel_refresh(scripts->api->cache, &exchange->plan.key);
    }
    buffer_free(&text);
}

void api_computation_begin(struct api_computation *computation, const struct api_scripts *scripts,
                           const struct script_request *request) {
    *computation = (struct api_computation){
        .pool = scripts->pool,
        .request = *request,
        .timeout_ms = script_generation_config(scripts->generation)->http.request_timeout_ms,
    };
    exchange_choose_correlation_id((struct slice){0}, computation->own_correlation_id);
    computation->request.correlation_id = computation->own_correlation_id;
}

void api_computation_end(struct api_computation *computation) {
    free(computation->headers.lines);
}

/* Of the scripts that run now: if they are others than at the request, the response is a new one.
 */
static void api_refresh_kept(struct api_scripts *scripts, const struct script_request *request) {
    const struct script_route *route = &scripts->routes[request->route];
    struct buffer text = {0};
    struct err err = {0};
    struct api_computation computation;
    api_computation_begin(&computation, scripts, request);
    struct cache_key key = scripts->keys[request->route];
    if (route->cache_key && script_cache_key(route, request, &text)) {
        key.text = buffer_slice(&text);
        log_set_correlation_id(slice_of(computation.own_correlation_id));
        if (!cache_refresh(scripts->api->cache, &key, api_compute, &computation, &err)) {
            api_log_stale(route->endpoint, &err);
        }
        log_set_correlation_id((struct slice){0});
    }
    api_computation_end(&computation);
    buffer_free(&text);
}

void api_refresh(void *context, struct slice text) {
    struct api_scripts *scripts = api_begin_use(context, NULL);
    struct kept_request kept;
    struct script_request request = {0};
    struct err err = {0};
    if (kept_request_read(&kept, text, scripts->routes, scripts->route_count, &request, &err) ==
        ROUTER_FOUND) {
        api_refresh_kept(scripts, &request);
    }
    kept_request_free(&kept);
    api_end_use(scripts);
}

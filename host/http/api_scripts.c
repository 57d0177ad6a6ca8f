/* api_scripts: what the API keeps of a generation: its routes, their keys and metrics, the streams
 * of live ones, and the pool of Lua states. */
#include "api_private.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "builtin_paths.h"
#include "endpoint.h"

/* The key of a response of the route, without its text. Texts of two routes may be equal, so the
 * hash has the route. */
static struct cache_key api_scripts_key_of(const struct script_route *route, uint64_t generation) {
    const struct script_cache *rules = &route->cache;
    const uint64_t made_by[] = {generation, hash64(slice_of(route->name))};
    return (struct cache_key){
        .type = route->cache_type,
        .scripts = hash64((struct slice){(const char *)made_by, sizeof made_by}),
        .ages = {rules->ttl_s, rules->stale_while_revalidate_s, rules->stale_if_error_s,
                 rules->stale_after_commit},
    };
}

/* What a request to a route needs at hand. */
static void api_scripts_list_routes(struct api_scripts *scripts) {
    uint64_t generation = hash64(slice_of(script_generation_hash(scripts->generation)));
    scripts->routes = script_generation_routes(scripts->generation, &scripts->route_count);
    if (!script_generation_config(scripts->generation)->http.routes) {
        scripts->route_count = 0;
    }
    scripts->endpoints = xcalloc(scripts->route_count + 1, sizeof(struct endpoint *));
    scripts->keys = xcalloc(scripts->route_count + 1, sizeof *scripts->keys);
    for (size_t i = 0; i < scripts->route_count; i++) {
        scripts->endpoints[i] = endpoint_of(scripts->routes[i].endpoint);
        scripts->keys[i] = api_scripts_key_of(&scripts->routes[i], generation);
    }
}

static void api_scripts_list_live(struct api_scripts *scripts) {
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
    api_scripts_list_routes(scripts);
    api_scripts_list_live(scripts);
    scripts->builtin = builtin_paths_create(generation, sources, err);
    bool answers = script_generation_config(generation)->http.routes != 0;
    scripts->pool = scripts->builtin && answers ? script_pool_create(generation, err) : NULL;
    if (!scripts->builtin || (answers && !scripts->pool)) {
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
    free(scripts->keys);
    free(scripts->live_routes);
    free(scripts->live_of);
    free(scripts->live_endpoints);
    free(scripts);
}

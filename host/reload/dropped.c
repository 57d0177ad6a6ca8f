#include "dropped.h"

#include <stdio.h>

#include "base/json_put.h"
#include "base/log.h"
#include "shadow_run/declarations.h"

static bool dropped_has_live(const struct script_generation *next, const char *path) {
    size_t count;
    const struct script_route *routes = script_generation_routes(next, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].live_count; p++) {
            if (script_same_paths(routes[i].live_paths[p], path)) {
                return true;
            }
        }
    }
    return false;
}

static void dropped_add_path(struct buffer *list, const char *method, const char *path) {
    char text[512];
    snprintf(text, sizeof text, "%s %s", method, path);
    json_put_text(list, NULL, slice_of(text));
}

static void dropped_add_route(struct buffer *list, const struct script_route *route,
                              const struct script_generation *next) {
    for (size_t p = 0; p < route->path_count; p++) {
        if (script_route_of(next, route->method, route->paths[p]) < 0) {
            dropped_add_path(list, route->method, route->paths[p]);
        }
    }
    for (size_t p = 0; p < route->live_count; p++) {
        if (!dropped_has_live(next, route->live_paths[p])) {
            dropped_add_path(list, route->method, route->live_paths[p]);
        }
    }
}

/* Adds "topic x", "reaction x" and "GET /x/{y}", as elements of a JSON list. */
static void dropped_add(struct buffer *list, const struct script_generation *running,
                        const struct script_generation *next) {
    size_t count;
    const struct script_route *routes = script_generation_routes(running, &count);
    declarations_add_topics(list, running, next);
    declarations_add_reactions(list, running, next);
    for (size_t i = 0; i < count; i++) {
        dropped_add_route(list, &routes[i], next);
    }
}

bool dropped_allow(const struct script_generation *running, const struct script_generation *next,
                   bool meant, struct err *err) {
    struct buffer list = {0};
    dropped_add(&list, running, next);
    bool allowed = list.len == 0 || meant;
    if (!allowed) {
        err_set(err, ERR_INPUT,
                "the new scripts lack topics, reactions or paths of the running ones; if that is "
                "intended, "
                "run aggregator reload --drop (over HTTP: ?drop=true): %.700s",
                list.data);
    } else if (list.len > 0) {
        log_warning("the reload drops topics, reactions or paths", LOG_TEXT("dropped", list.data));
    }
    buffer_free(&list);
    return allowed;
}

void dropped_put(struct buffer *json, const struct script_generation *running,
                 const struct script_generation *next) {
    struct buffer list = {0};
    dropped_add(&list, running, next);
    json_put_list(json, "dropped", &list);
    buffer_free(&list);
}

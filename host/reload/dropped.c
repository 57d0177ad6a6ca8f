#include "dropped.h"

#include <stdio.h>

#include "base/json_put.h"
#include "base/log.h"
#include "shadow_run/declarations.h"

/* Adds "topic x" and "GET /x/{y}", as elements of a JSON list. */
static void dropped_add(struct buffer *list, const struct script_generation *running,
                        const struct script_generation *next) {
    char path[512];
    size_t count;
    const struct script_route *routes = script_generation_routes(running, &count);
    declarations_add_topics(list, running, next);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            if (script_route_of(next, routes[i].method, routes[i].paths[p]) < 0) {
                snprintf(path, sizeof path, "%s %s", routes[i].method, routes[i].paths[p]);
                json_put_text(list, NULL, slice_of(path));
            }
        }
    }
}

bool dropped_allow(const struct script_generation *running, const struct script_generation *next,
                   bool meant, struct err *err) {
    struct buffer list = {0};
    dropped_add(&list, running, next);
    bool allowed = list.len == 0 || meant;
    if (!allowed) {
        err_set(err, ERR_INPUT,
                "the new scripts lack topics or paths of the running ones; if that is intended, "
                "run aggregator reload --drop (over HTTP: ?drop=true): %.700s",
                list.data);
    } else if (list.len > 0) {
        log_warning("the reload drops topics or paths", LOG_TEXT("dropped", list.data));
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

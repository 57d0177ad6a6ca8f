#include "dropped.h"

#include <stdio.h>

#include "base/json_put.h"
#include "base/log.h"

/* "topic x" or "GET /x/{y}". */
typedef void dropped_found(void *context, const char *what);

static void dropped_find_topics(const struct script_generation *running,
                                const struct script_generation *next, dropped_found *found,
                                void *context) {
    char what[512];
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(running, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (script_handler_of(next, handlers[i].topics[t]) < 0) {
                snprintf(what, sizeof what, "topic %s", handlers[i].topics[t]);
                found(context, what);
            }
        }
    }
}

static void dropped_find_paths(const struct script_generation *running,
                               const struct script_generation *next, dropped_found *found,
                               void *context) {
    char what[512];
    size_t count;
    const struct script_route *routes = script_generation_routes(running, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            if (script_route_of(next, routes[i].method, routes[i].paths[p]) < 0) {
                snprintf(what, sizeof what, "%s %s", routes[i].method, routes[i].paths[p]);
                found(context, what);
            }
        }
    }
}

static void dropped_find_dropped(const struct script_generation *running,
                                 const struct script_generation *next, dropped_found *found,
                                 void *context) {
    dropped_find_topics(running, next, found, context);
    dropped_find_paths(running, next, found, context);
}

static void dropped_append_to_list(void *text, const char *what) {
    struct buffer *list = text;
    buffer_append_format(list, "%s%s", list->len > 0 ? ", " : "", what);
}

bool dropped_allow(const struct script_generation *running, const struct script_generation *next,
                   bool meant, struct err *err) {
    struct buffer list = {0};
    dropped_find_dropped(running, next, dropped_append_to_list, &list);
    bool allowed = list.len == 0 || meant;
    if (!allowed) {
        err_set(err, ERR_INPUT,
                "these scripts would no longer read or answer what those that run do; if that is "
                "meant, say aggregator reload --drop (over HTTP: ?drop=true): %.700s",
                list.data);
    } else if (list.len > 0) {
        log_warning("topics or paths are dropped with the scripts", LOG_TEXT("dropped", list.data));
    }
    buffer_free(&list);
    return allowed;
}

static void dropped_append_to_json(void *json, const char *what) {
    json_put_text(json, NULL, slice_of(what));
}

void dropped_put(struct buffer *json, const struct script_generation *running,
                 const struct script_generation *next) {
    json_open(json, "dropped", "[");
    dropped_find_dropped(running, next, dropped_append_to_json, json);
    buffer_append_text(json, "]");
}

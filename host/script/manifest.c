/* manifest: what the scripts declare, read once per generation out of a state made for it. */
#include <stdlib.h>

#include "../base/xalloc.h"
#include "script_private.h"

void *manifest_alloc(struct script_generation *generation, size_t bytes) {
    struct manifest_memory *memory = xcalloc(1, sizeof *memory + bytes);
    memory->next = generation->memory;
    generation->memory = memory;
    return memory + 1;
}

char *manifest_text(struct script_generation *generation, const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(manifest_alloc(generation, bytes), text, bytes);
}

static bool starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static const char *shared_topic(const struct script_handler *one,
                                const struct script_handler *other) {
    for (size_t i = 0; i < one->topic_count; i++) {
        for (size_t j = 0; j < other->topic_count; j++) {
            if (strcmp(one->topics[i], other->topics[j]) == 0) {
                return one->topics[i];
            }
        }
    }
    return NULL;
}

static bool check_topics(const struct script_generation *generation, struct err *err) {
    const struct script_handler *handlers = generation->handlers;
    for (size_t i = 0; i < generation->handler_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const char *topic = shared_topic(&handlers[i], &handlers[j]);
            if (topic) {
                return err_set(err, ERR_INPUT, "%s and %s both declare the topic %s",
                               handlers[j].name, handlers[i].name, topic);
            }
        }
    }
    return true;
}

static const char *shared_path(const struct script_route *one, const struct script_route *other) {
    for (size_t i = 0; i < one->path_count; i++) {
        for (size_t j = 0; j < other->path_count; j++) {
            if (script_same_paths(one->paths[i], other->paths[j])) {
                return one->paths[i];
            }
        }
    }
    return NULL;
}

static bool is_method(const char *text) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    size_t at = 0;
    while (at < sizeof methods / sizeof *methods && strcmp(text, methods[at]) != 0) {
        at++;
    }
    return at < sizeof methods / sizeof *methods;
}

static bool check_routes(const struct script_generation *generation, struct err *err) {
    const struct script_route *routes = generation->routes;
    for (size_t i = 0; i < generation->route_count; i++) {
        if (!is_method(routes[i].method)) {
            return err_set(err, ERR_INPUT,
                           "%s: no method \"%s\": say GET, POST, PUT, PATCH or DELETE",
                           routes[i].name, routes[i].method);
        }
        for (size_t j = 0; j < i; j++) {
            const char *path = shared_path(&routes[i], &routes[j]);
            if (path && strcmp(routes[i].method, routes[j].method) == 0) {
                return err_set(err, ERR_INPUT, "%s and %s both declare %s %s", routes[j].name,
                               routes[i].name, routes[i].method, path);
            }
        }
    }
    return true;
}

/* What Lua says of a file names it already, with the line. */
static bool name_file(const struct bundle_file *file, const char *blamed, struct err *err) {
    if (!file || starts_with(err->text, file->path)) {
        return false;
    }
    int line = blamed ? manifest_line(file->text, blamed) : 0;
    return line > 0 ? err_wrap(err, "%s:%d", file->path, line) : err_wrap(err, "%s", file->path);
}

bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err) {
    const struct bundle *bundle = &generation->bundle;
    generation->handlers = manifest_alloc(generation, bundle->count * sizeof *generation->handlers);
    generation->routes = manifest_alloc(generation, bundle->count * sizeof *generation->routes);
    if (!manifest_read_view(instance, generation, err)) {
        return name_file(bundle_find(bundle, "view"), generation->blamed, err);
    }
    for (size_t i = 0; i < bundle->count; i++) {
        const char *name = bundle->files[i].name;
        bool ok = true;
        generation->blamed = NULL;
        if (starts_with(name, "handlers/")) {
            ok = manifest_read_handler(instance, generation, name, err);
        } else if (starts_with(name, "routes/")) {
            ok = manifest_read_route(instance, generation, name, err);
        }
        if (!ok) {
            return name_file(&bundle->files[i], generation->blamed, err);
        }
    }
    return check_topics(generation, err) && check_routes(generation, err);
}

/* manifest: what the scripts declare, read once per generation out of a state made for it. */
#include <stdlib.h>

#include "../xalloc.h"
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

static bool check_topics(const struct script_generation *generation, struct err *err) {
    const struct script_handler *handlers = generation->handlers;
    for (size_t i = 0; i < generation->handler_count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            for (size_t j = 0; j < i; j++) {
                for (size_t u = 0; u < handlers[j].topic_count; u++) {
                    if (strcmp(handlers[i].topics[t], handlers[j].topics[u]) == 0) {
                        return err_set(err, ERR_INPUT, "%s and %s both declare the topic %s",
                                       handlers[j].name, handlers[i].name, handlers[i].topics[t]);
                    }
                }
            }
        }
    }
    return true;
}

static bool check_routes(const struct script_generation *generation, struct err *err) {
    const struct script_route *routes = generation->routes;
    for (size_t i = 0; i < generation->route_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(routes[i].method, routes[j].method) == 0 &&
                strcmp(routes[i].paths[0], routes[j].paths[0]) == 0) {
                return err_set(err, ERR_INPUT, "%s and %s both declare %s %s", routes[j].name,
                               routes[i].name, routes[i].method, routes[i].paths[0]);
            }
        }
    }
    return true;
}

/* What Lua says of a file names it already, with the line. */
static bool name_file(const struct bundle_file *file, struct err *err) {
    if (!file || starts_with(err->text, file->path)) {
        return false;
    }
    return err_wrap(err, "%s", file->path);
}

bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err) {
    const struct bundle *bundle = &generation->bundle;
    generation->handlers = manifest_alloc(generation, bundle->count * sizeof *generation->handlers);
    generation->routes = manifest_alloc(generation, bundle->count * sizeof *generation->routes);
    if (!manifest_read_view(instance, generation, err)) {
        return name_file(bundle_find(bundle, "view"), err);
    }
    for (size_t i = 0; i < bundle->count; i++) {
        const char *name = bundle->files[i].name;
        bool ok = true;
        if (starts_with(name, "handlers/")) {
            ok = manifest_read_handler(instance, generation, name, err);
        } else if (starts_with(name, "routes/")) {
            ok = manifest_read_route(instance, generation, name, err);
        }
        if (!ok) {
            return name_file(&bundle->files[i], err);
        }
    }
    return check_topics(generation, err) && check_routes(generation, err);
}

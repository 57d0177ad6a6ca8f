/* manifest: reads the declarations of a generation, once, in a state of its own. */
#include "manifest.h"

#include <stdlib.h>

#include "base/xalloc.h"

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

static bool manifest_starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---- checks across files ------------------------------------------------------------------ */

/* Records a conflict at the line of the word in the named file. */
static void manifest_clash(struct manifest_reader *r, const char *name, const char *word,
                           const char *format, const char *with, const char *method) {
    struct manifest_scope scope = {0};
    r->file = bundle_find(&r->generation->bundle, name);
    manifest_enter(r, &scope, NULL, manifest_starts_with(name, "routes/") ? "route" : "handler");
    manifest_problem(r, word, format, method, word, with);
    manifest_leave(r);
}

static void manifest_check_topics(struct manifest_reader *r) {
    const struct script_handler *handlers = r->generation->handlers;
    for (size_t i = 0; i < r->generation->handler_count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            const char *topic = handlers[i].topics[t];
            int first = script_handler_of(r->generation, topic);
            if (first >= 0 && (size_t)first < i) {
                manifest_clash(r, handlers[i].name, topic,
                               "%s %s is also declared by %s: a topic has one handler",
                               handlers[first].name, "the topic");
            }
        }
    }
}

static void manifest_check_route_path(struct manifest_reader *r, const struct script_route *route,
                                      const char *path, const struct script_route *earlier) {
    for (size_t p = 0; p < earlier->path_count; p++) {
        if (earlier->paths[p] == path) {
            return; /* itself and later ones */
        }
        if (strcmp(route->method, earlier->method) != 0 ||
            !manifest_covers(earlier->paths[p], path)) {
            continue;
        }
        manifest_clash(
            r, route->name, path,
            script_same_paths(earlier->paths[p], path)
                ? "%s %s is also declared by %s"
                : "%s %s is never reached: a path of %s, whose name sorts first, matches the same "
                  "requests",
            earlier->name, route->method);
        return;
    }
}

static bool manifest_live_clashes(struct manifest_reader *r, const char *name, const char *path,
                                  const char *const *paths, size_t count, const char *other) {
    for (size_t i = 0; i < count; i++) {
        if (manifest_covers(paths[i], path)) {
            manifest_clash(r, name, path, "%s %s is never reached: %s answers the same requests",
                           other, "the path of `live`");
            return true;
        }
    }
    return false;
}

/* Streams are found after all routes. */
static void manifest_check_live(struct manifest_reader *r, size_t i, const char *path) {
    const struct script_route *routes = r->generation->routes;
    for (size_t j = 0; j < r->generation->route_count; j++) {
        const struct script_route *other = &routes[j];
        if (manifest_live_clashes(r, routes[i].name, path, other->paths, other->path_count,
                                  other->name) ||
            (j < i && manifest_live_clashes(r, routes[i].name, path, other->live_paths,
                                            other->live_count, other->name))) {
            return;
        }
    }
}

/* The first route that matches answers a request, in order of their names. */
static void manifest_check_routes(struct manifest_reader *r) {
    const struct script_route *routes = r->generation->routes;
    for (size_t i = 0; i < r->generation->route_count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            for (size_t j = 0; j <= i; j++) {
                manifest_check_route_path(r, &routes[i], routes[i].paths[p], &routes[j]);
            }
        }
        for (size_t p = 0; p < routes[i].live_count; p++) {
            manifest_check_live(r, i, routes[i].live_paths[p]);
        }
        for (size_t j = 0; j < i && routes[i].cache_key; j++) {
            if (routes[j].cache_key &&
                script_same_paths(routes[i].cache_key, routes[j].cache_key)) {
                manifest_clash(r, routes[i].name, routes[i].cache_key,
                               "%s \"%s\" is also that of %s: each would replace the cached "
                               "responses of the other",
                               routes[j].name, "cache.key");
            }
        }
    }
}

/* ---- reading ------------------------------------------------------------------------------ */

bool manifest_load(struct manifest_reader *r, const char *name) {
    struct err err = {0};
    if (sandbox_load(sandbox_instance(r->L), name, &err)) {
        sandbox_push_module(r->L, name);
        return true;
    }
    /* Lua's message names the file and line already. */
    problems_add(r->problems, manifest_starts_with(err.text, r->file->path) ? "" : r->file->path, 0,
                 "%s", err.text);
    return false;
}

static void manifest_read_files(struct manifest_reader *r) {
    const struct bundle *bundle = &r->generation->bundle;
    r->file = bundle_find(bundle, "envelope");
    if (r->file) {
        manifest_read_envelope(r);
        lua_settop(r->L, 1);
    }
    for (size_t i = 0; i < bundle->count; i++) {
        r->file = &bundle->files[i];
        if (strcmp(r->file->name, "view") == 0) {
            manifest_read_view(r);
        } else if (manifest_starts_with(r->file->name, "handlers/")) {
            manifest_read_handler(r, r->file->name);
        } else if (manifest_starts_with(r->file->name, "routes/")) {
            manifest_read_route(r, r->file->name);
        } else if (manifest_starts_with(r->file->name, "reactions/")) {
            manifest_read_reaction(r, r->file->name);
        }
        lua_settop(r->L, 1);
    }
    if (!r->generation->view) {
        problems_add(r->problems, "", 0, "view.lua is missing");
    }
    if (r->generation->handler_count > 0 && !bundle_find(bundle, "envelope")) {
        problems_add(r->problems, "", 0,
                     "there is no scripts/envelope.lua, which handlers need: return { id = PATH, "
                     "time = PATH, correlation_id = PATH } with the paths in the events' JSON");
    }
}

static int manifest_read_all(lua_State *L) {
    struct manifest_reader *r = lua_touserdata(L, 1);
    manifest_read_files(r);
    manifest_check_topics(r);
    manifest_check_routes(r);
    manifest_check_reactions(r);
    return 0;
}

bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err) {
    const struct bundle *bundle = &generation->bundle;
    struct problems problems = {0};
    struct manifest_reader r = {
        .L = instance->host.L, .generation = generation, .problems = &problems};
    generation->handlers = manifest_alloc(generation, bundle->count * sizeof *generation->handlers);
    generation->routes = manifest_alloc(generation, bundle->count * sizeof *generation->routes);
    generation->reactions =
        manifest_alloc(generation, bundle->count * sizeof *generation->reactions);
    struct err raised = {0};
    if (!script_guard(instance, manifest_read_all, &r, &raised)) {
        problems_add(&problems, r.file ? r.file->path : "", 0, "cannot read its declaration: %s",
                     raised.text);
    }
    manifest_check_literals(&r);
    bool good = problems_report(&problems, err);
    problems_free(&problems);
    return good;
}

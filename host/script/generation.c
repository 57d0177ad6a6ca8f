/* generation: loads, checks and describes one set of scripts. */
#include <stdlib.h>

#include "base/nearest.h"
#include "base/xalloc.h"
#include "bundle_disk.h"
#include "script_private.h"

static struct script_generation *generation_make(const struct config *config, uint64_t number) {
    struct script_generation *generation = xcalloc(1, sizeof *generation);
    generation->number = number;
    generation->config = config_ref(config);
    generation->metrics = metric_scope_create();
    atomic_store(&generation->refs, 1);
    return generation;
}

/* Reads the manifest of the bundle. Takes ownership of the reference. */
static struct script_generation *generation_complete(struct script_generation *generation,
                                                     struct err *err) {
    struct script_instance reader = {.generation = generation, .config = generation->config};
    bool ok = sandbox_open(&reader, err) && manifest_read(&reader, generation, err);
    sandbox_close(&reader);
    if (!ok) {
        script_generation_unref(generation);
        return NULL;
    }
    return generation;
}

static bool generation_read_bundle(struct bundle *bundle, const struct config *config, bool settled,
                                   struct err *err) {
    struct bundle_folders folders = {config->scripts.root, config->scripts.sql, settled};
    return bundle_disk_read(bundle, &folders, err);
}

/* Its sources alone. */
static struct script_generation *generation_read(const struct config *config, uint64_t number,
                                                 bool settled, struct err *err) {
    struct script_generation *generation = generation_make(config, number);
    if (!generation_read_bundle(&generation->bundle, config, settled, err)) {
        script_generation_unref(generation);
        return NULL;
    }
    return generation;
}

static struct script_generation *generation_load(const struct config *config, uint64_t number,
                                                 bool settled, struct err *err) {
    struct script_generation *generation = generation_read(config, number, settled, err);
    return generation ? generation_complete(generation, err) : NULL;
}

struct script_generation *script_generation_load(const struct config *config, uint64_t number,
                                                 struct err *err) {
    return generation_load(config, number, false, err);
}

/* A route without the caller's vocabulary would answer in other words than the rest. */
static bool generation_check_vocabulary(const struct script_generation *generation,
                                        const struct script_route *route, const char *caller,
                                        const char *wanted, struct err *err) {
    char hint[NEAREST_HINT_CAP];
    const struct script_words *words = route->words;
    const char **names = xcalloc(words->count + 1, sizeof *names);
    bool found = false;
    for (size_t v = 0; v < words->count; v++) {
        names[v] = words->vocabularies[v].name;
        found = found || strcmp(names[v], wanted) == 0;
    }
    if (!found) {
        err_set(err, ERR_INPUT,
                "%s: http.vocabularies: %.200s reads \"%.200s\", which %s/%s.lua lacks: %s",
                config_place_of(generation->config, "http", "vocabularies"), caller, wanted,
                generation->config->scripts.root, route->name,
                nearest_hint(hint, wanted, names, words->count));
    }
    free(names);
    return found;
}

/* Each configured vocabulary exists in each route that has `words`. */
static bool generation_check_vocabularies(const struct script_generation *generation,
                                          struct err *err) {
    const struct config_pairs *callers = &generation->config->http.vocabularies;
    for (size_t c = 0; c < callers->count; c++) {
        size_t routes = 0;
        for (size_t i = 0; i < generation->route_count; i++) {
            const struct script_route *route = &generation->routes[i];
            if (route->words && !generation_check_vocabulary(generation, route, callers->names[c],
                                                             callers->values[c], err)) {
                return false;
            }
            routes += route->words != NULL;
        }
        if (routes == 0) {
            return err_set(err, ERR_INPUT,
                           "%s: http.vocabularies: %.200s reads \"%.200s\", and no route of %s has "
                           "`words`",
                           config_place_of(generation->config, "http", "vocabularies"),
                           callers->names[c], callers->values[c], generation->config->scripts.root);
        }
    }
    return true;
}

/* Each name of scripts.interpreted is a script's. */
static bool generation_check_interpreted(const struct script_generation *generation,
                                         struct err *err) {
    char hint[NEAREST_HINT_CAP];
    const struct config_strings *wanted = &generation->config->scripts.interpreted;
    const struct bundle *bundle = &generation->bundle;
    const char **names = xcalloc(bundle->count + 1, sizeof *names);
    const char *unknown = NULL;
    for (size_t i = 0; i < bundle->count; i++) {
        names[i] = bundle->files[i].name;
    }
    for (size_t i = 0; i < wanted->count && !unknown; i++) {
        unknown = bundle_find(bundle, wanted->items[i]) ? NULL : wanted->items[i];
    }
    if (unknown) {
        err_set(err, ERR_INPUT, "%s: scripts.interpreted: %s has no file \"%.200s.lua\": %s",
                config_place_of(generation->config, "scripts", "interpreted"),
                generation->config->scripts.root, unknown,
                nearest_hint(hint, unknown, names, bundle->count));
    }
    free(names);
    return !unknown;
}

bool script_generation_fits(const struct script_generation *generation, struct err *err) {
    return generation_check_interpreted(generation, err) &&
           generation_check_vocabularies(generation, err);
}

static bool generation_check_service(const struct script_generation *generation, struct err *err) {
    const char *root = generation->config->scripts.root;
    const char *missing = generation->handler_count == 0 ? "handler"
                          : generation->route_count == 0 ? "route"
                                                         : NULL;
    if (missing) {
        return err_set(err, ERR_INPUT,
                       "%s/%ss declares no %s: is %s (scripts.root) the right folder?", root,
                       missing, missing, root);
    }
    return script_generation_fits(generation, err);
}

struct script_generation *script_generation_load_service(const struct config *config,
                                                         uint64_t number, struct err *err) {
    struct script_generation *generation = generation_load(config, number, true, err);
    if (generation && !generation_check_service(generation, err)) {
        script_generation_unref(generation);
        return NULL;
    }
    return generation;
}

struct script_generation *script_generation_restore(const struct config *config, uint64_t number,
                                                    const struct script_source *sources,
                                                    size_t count, struct err *err) {
    struct script_generation *generation = generation_make(config, number);
    bundle_fill(&generation->bundle, sources, count);
    return generation_complete(generation, err);
}

struct script_generation *script_generation_read(const struct config *config, struct err *err) {
    return generation_read(config, 0, false, err);
}

bool script_sources_hash(const struct config *config, char hash[SCRIPT_HASH_LEN + 1],
                         struct err *err) {
    struct bundle bundle = {0};
    bool ok = generation_read_bundle(&bundle, config, false, err);
    if (ok) {
        memcpy(hash, bundle.hash, sizeof bundle.hash);
    }
    bundle_free(&bundle);
    return ok;
}

struct script_generation *script_generation_ref(struct script_generation *generation) {
    atomic_fetch_add(&generation->refs, 1);
    return generation;
}

static void generation_destroy_parts(const struct script_route *route) {
    const struct script_part *parts[] = {route->query, route->headers,
                                         route->body ? &route->body->part : NULL};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i]) {
            extract_plan_destroy((struct extract_plan *)parts[i]->plan);
        }
    }
}

void script_generation_unref(struct script_generation *generation) {
    if (!generation || atomic_fetch_sub(&generation->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < generation->handler_count; i++) {
        extract_plan_destroy((struct extract_plan *)generation->handlers[i].plan);
    }
    for (size_t i = 0; i < generation->route_count; i++) {
        generation_destroy_parts(&generation->routes[i]);
    }
    for (struct manifest_memory *memory = generation->memory, *next; memory; memory = next) {
        next = memory->next;
        free(memory);
    }
    metric_scope_destroy(generation->metrics);
    view_destroy(generation->view);
    bundle_free(&generation->bundle);
    config_unref(generation->config);
    free(generation);
}

uint64_t script_generation_number(const struct script_generation *generation) {
    return generation->number;
}

void script_generation_set_states(struct script_generation *generation,
                                  const struct script_states *states) {
    generation->states = states;
}

const struct config *script_generation_config(const struct script_generation *generation) {
    return generation->config;
}

const char *script_generation_hash(const struct script_generation *generation) {
    return generation->bundle.hash;
}

const struct view *script_generation_view(const struct script_generation *generation) {
    return generation->view;
}

const struct script_handler *script_generation_handlers(const struct script_generation *generation,
                                                        size_t *count) {
    *count = generation->handler_count;
    return generation->handlers;
}

const struct extract_field *script_generation_envelope(const struct script_generation *generation,
                                                       size_t *count) {
    *count = generation->envelope_count;
    return generation->envelope;
}

void script_generation_count(struct script_generation *generation, struct script_counts more) {
    atomic_fetch_add(&generation->handled, more.handled);
    atomic_fetch_add(&generation->rejected, more.rejected);
}

struct script_counts script_generation_counts(const struct script_generation *generation) {
    return (struct script_counts){atomic_load(&generation->handled),
                                  atomic_load(&generation->rejected)};
}

int script_handler_of(const struct script_generation *generation, const char *topic) {
    for (size_t i = 0; i < generation->handler_count; i++) {
        for (size_t t = 0; t < generation->handlers[i].topic_count; t++) {
            if (strcmp(generation->handlers[i].topics[t], topic) == 0) {
                return (int)i;
            }
        }
    }
    return -1;
}

int script_find_named(const void *items, size_t count, size_t size, const char *name) {
    for (size_t i = 0; i < count; i++) {
        const char *const *item = (const void *)((const char *)items + i * size);
        if (strcmp(*item, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int script_reaction_of(const struct script_generation *generation, const char *name) {
    return script_find_named(generation->reactions, generation->reaction_count,
                             sizeof *generation->reactions, name);
}

const struct script_route *script_generation_routes(const struct script_generation *generation,
                                                    size_t *count) {
    *count = generation->route_count;
    return generation->routes;
}

const struct script_reaction *
script_generation_reactions(const struct script_generation *generation, size_t *count) {
    *count = generation->reaction_count;
    return generation->reactions;
}

bool script_same_paths(const char *one, const char *other) {
    while (*one && *one == *other) {
        if (*one == '{') {
            one += strcspn(one, "}");
            other += strcspn(other, "}");
        }
        one += *one != '\0';
        other += *other != '\0';
    }
    return *one == *other;
}

int script_route_of(const struct script_generation *generation, const char *method,
                    const char *path) {
    for (size_t i = 0; i < generation->route_count; i++) {
        const struct script_route *route = &generation->routes[i];
        for (size_t p = 0; p < route->path_count && strcmp(route->method, method) == 0; p++) {
            if (script_same_paths(route->paths[p], path)) {
                return (int)i;
            }
        }
    }
    return -1;
}

/* ---- files --------------------------------------------------------------------------------- */

bool script_generation_source(const struct script_generation *generation, size_t index,
                              struct script_source *source) {
    if (index >= generation->bundle.count) {
        return false;
    }
    const struct bundle_file *file = &generation->bundle.files[index];
    *source = (struct script_source){file->name, file->path, {file->text, file->len}};
    return true;
}

bool script_generation_api(const struct script_generation *generation,
                           struct script_source *source) {
    const struct bundle_file *file = bundle_find(&generation->bundle, BUNDLE_API);
    if (file) {
        *source = (struct script_source){file->name, file->path, {file->text, file->len}};
    }
    return file != NULL;
}

bool script_generation_query(const struct script_generation *generation, size_t index,
                             struct script_query *query) {
    for (size_t i = 0; i < generation->bundle.count; i++) {
        const struct bundle_file *file = &generation->bundle.files[i];
        if (bundle_query_name(file) && index-- == 0) {
            *query = (struct script_query){file->path, file->text};
            return true;
        }
    }
    return false;
}

bool script_find_query(const struct script_generation *generation, const char *name,
                       struct script_query *query) {
    char file_name[256];
    snprintf(file_name, sizeof file_name, "queries/%s", name);
    const struct bundle_file *file = bundle_find(&generation->bundle, file_name);
    if (file) {
        *query = (struct script_query){file->path, file->text};
    }
    return file != NULL;
}

void script_generation_compare(const struct script_generation *old,
                               const struct script_generation *new,
                               void (*changed)(void *context, const char *path), void *context) {
    for (size_t i = 0; i < new->bundle.count; i++) {
        const struct bundle_file *file = &new->bundle.files[i];
        if (!bundle_file_equal(file, bundle_find(&old->bundle, file->name))) {
            changed(context, file->path);
        }
    }
    for (size_t i = 0; i < old->bundle.count; i++) {
        const struct bundle_file *file = &old->bundle.files[i];
        if (!bundle_find(&new->bundle, file->name)) {
            changed(context, file->path);
        }
    }
}

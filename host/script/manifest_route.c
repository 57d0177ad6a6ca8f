/* Reads a route's declaration: method, path, endpoint, auth, live; manifest_request.c reads what it
 * declares of its requests, manifest_cache.c how its responses are cached. */
#include "manifest.h"

#define MAX_ALIASES 16
#define LIVE_SEGMENT "/events"

struct route_reading {
    struct script_route route;
    const char *path;
    const char **aliases;
    size_t alias_count;
    struct manifest_cache cache; /* key NULL: not cached */
    bool is_live;
    const char *live_path; /* NULL: each path with LIVE_SEGMENT */
};

static void manifest_route_read_method(struct manifest_reader *r, void *target) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *method = ((struct route_reading *)target)->route.method;
    for (size_t i = 0; method && i < COUNT(methods); i++) {
        if (strcmp(methods[i], method) == 0) {
            return;
        }
    }
    if (method) {
        manifest_refuse(r, "method", method, methods, COUNT(methods));
    }
}

static void manifest_route_read_aliases(struct manifest_reader *r, void *target) {
    struct route_reading *reading = target;
    size_t len;
    if (manifest_is_list(r, "aliases", "a list of paths", MAX_ALIASES, &len) && len > 0) {
        reading->aliases = manifest_take_texts(r, "aliases", MAX_ALIASES, &reading->alias_count);
    }
}

static void manifest_route_read_cache(struct manifest_reader *r, void *target) {
    manifest_read_cache(r, &((struct route_reading *)target)->cache);
}

static void manifest_route_read_live(struct manifest_reader *r, void *target) {
    struct route_reading *reading = target;
    reading->is_live = lua_toboolean(r->L, -1);
    reading->live_path = lua_type(r->L, -1) == LUA_TSTRING
                             ? manifest_text(r->generation, lua_tostring(r->L, -1))
                             : NULL;
}

static void manifest_route_read_words(struct manifest_reader *r, void *target) {
    ((struct route_reading *)target)->route.words = manifest_read_words(r);
}

static void manifest_route_read_query(struct manifest_reader *r, void *target) {
    ((struct route_reading *)target)->route.query = manifest_read_query(r);
}

static void manifest_route_read_headers(struct manifest_reader *r, void *target) {
    ((struct route_reading *)target)->route.headers = manifest_read_headers(r);
}

static void manifest_route_read_body(struct manifest_reader *r, void *target) {
    ((struct route_reading *)target)->route.body = manifest_read_body(r);
}

static void manifest_route_read_rate(struct manifest_reader *r, void *target) {
    ((struct route_reading *)target)->route.rate = manifest_read_rate(r);
}

static const struct manifest_key route_keys[] = {
    {"method", MANIFEST_TEXT, false, offsetof(struct route_reading, route.method), NULL,
     manifest_route_read_method},
    {"path", MANIFEST_TEXT, true, offsetof(struct route_reading, path),
     "the URL's path, \"/orders/{order_id}\"", NULL},
    {"aliases", MANIFEST_TABLE, false, 0, NULL, manifest_route_read_aliases},
    {"endpoint", MANIFEST_TEXT, false, offsetof(struct route_reading, route.endpoint), NULL, NULL},
    {"auth", MANIFEST_SWITCH, false, offsetof(struct route_reading, route.authenticated), NULL,
     NULL},
    {"writes", MANIFEST_SWITCH, false, offsetof(struct route_reading, route.writes), NULL, NULL},
    {"stream", MANIFEST_SWITCH, false, offsetof(struct route_reading, route.streams), NULL, NULL},
    {"cache", MANIFEST_TABLE, false, 0, "{ key = \"order:{order_id}\" }",
     manifest_route_read_cache},
    {"live", MANIFEST_SWITCH_OR_TEXT, false, 0,
     "true, or the path of the stream, \"/orders/{order_id}/events\"", manifest_route_read_live},
    {"words", MANIFEST_TABLE, false, 0, "{ at = \"status\", vocabularies = { … } }",
     manifest_route_read_words},
    {"query", MANIFEST_TABLE, false, 0, "{ limit = { type = \"integer\", optional = true } }",
     manifest_route_read_query},
    {"headers", MANIFEST_TABLE, false, 0, "{ language = { \"Accept-Language\", optional = true } }",
     manifest_route_read_headers},
    {"body", MANIFEST_TABLE, false, 0, "{ fields = { name = \"name\" } }",
     manifest_route_read_body},
    {"rate_limit", MANIFEST_TABLE, false, 0, "{ requests = 100, per_s = 60 }",
     manifest_route_read_rate},
    {"handle", MANIFEST_FUNCTION, true, 0, "function(request)", NULL},
};

/* ---- paths --------------------------------------------------------------------------------- */

static void manifest_route_check_body(struct manifest_reader *r, const struct script_route *route) {
    if (route->body && strcmp(route->method, "GET") == 0) {
        manifest_problem(r, "body",
                         "a GET has no body: the method of a route with `body` is POST, "
                         "PUT, PATCH or DELETE");
    }
}

/* A stream is sent as it is made: nothing keeps or translates it. */
static void manifest_route_check_stream(struct manifest_reader *r,
                                        const struct route_reading *reading) {
    const struct script_route *route = &reading->route;
    const char *other = reading->cache.key ? "cache"
                        : reading->is_live ? "live"
                        : route->words     ? "words"
                                           : NULL;
    if (route->streams && other) {
        manifest_problem(r, "stream",
                         "a response that is streamed is neither cached nor translated: remove "
                         "`stream` or `%s`",
                         other);
    }
}

/* The parameters of the stream's path are those of the route's. */
static bool manifest_route_check_live_path(struct manifest_reader *r, const char *path,
                                           const struct manifest_params *params) {
    struct manifest_params own;
    const char *problem = manifest_check_path(path, &own);
    if (problem) {
        manifest_problem(r, "live", "the path \"%.200s\" is not allowed: %s", path, problem);
        return false;
    }
    for (size_t i = 0; i < own.count; i++) {
        if (!manifest_has_param(params, own.names[i])) {
            manifest_refuse_param(r, own.names[i], params);
            return false;
        }
    }
    for (size_t i = 0; i < params->count; i++) {
        if (!manifest_has_param(&own, params->names[i])) {
            manifest_problem(r, "live", "the path \"%.200s\" lacks {%.*s} of the route's path",
                             path, (int)params->names[i].len, params->names[i].data);
            return false;
        }
    }
    return true;
}

/* The stream has the route's query, and a parameter of its own. */
static void manifest_route_check_live_query(struct manifest_reader *r,
                                            const struct script_part *query) {
    for (size_t i = 0; query && i < query->field_count; i++) {
        for (size_t p = 0; p < query->fields[i].path_count; p++) {
            if (strcmp(query->fields[i].paths[p], SCRIPT_LIVE_ANSWER) == 0) {
                manifest_problem(r, query->fields[i].name,
                                 "the parameter " SCRIPT_LIVE_ANSWER
                                 " is that of the stream of a live route: give it another name");
            }
        }
    }
}

/* A stream tells of changes of the answer, which the tags of a cached answer name. */
static void manifest_route_take_live(struct manifest_reader *r, struct route_reading *reading,
                                     const struct manifest_params *params) {
    struct script_route *route = &reading->route;
    size_t count = reading->live_path ? 1 : route->path_count;
    const char **paths = manifest_alloc(r->generation, (count + 1) * sizeof *paths);
    if (!route->cache_key) {
        manifest_problem(r, "live",
                         "`live` needs `cache`: the tags of its answers say when they change");
        return;
    }
    manifest_route_check_live_query(r, route->query);
    for (size_t i = 0; i < count; i++) {
        size_t room = strlen(route->paths[i]) + sizeof LIVE_SEGMENT;
        char *path = manifest_alloc(r->generation, room);
        snprintf(path, room, "%s" LIVE_SEGMENT, route->paths[i]);
        paths[i] = reading->live_path ? reading->live_path : path;
        if (!manifest_route_check_live_path(r, paths[i], params)) {
            return;
        }
    }
    route->live_paths = paths;
    route->live_count = count;
}

static void manifest_route_check_route(struct manifest_reader *r, struct route_reading *reading) {
    struct script_route *route = &reading->route;
    struct manifest_params params[1 + MAX_ALIASES] = {{.count = 0}};
    bool good = true;
    size_t count = 1 + reading->alias_count;
    const char **paths = manifest_alloc(r->generation, count * sizeof *paths);
    route->paths = paths;
    paths[0] = reading->path;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            paths[i] = reading->aliases[i - 1];
        }
        const char *problem = manifest_check_path(paths[i], &params[i]);
        if (problem) {
            manifest_problem(r, paths[i], "the path \"%.200s\" is not allowed: %s", paths[i],
                             problem);
            good = false;
        }
    }
    if (good) {
        route->path_count = count;
    }
    if (reading->cache.key) {
        manifest_check_cache(r, route, &reading->cache, params);
    }
    manifest_route_check_body(r, route);
    manifest_route_check_stream(r, reading);
    if (good && reading->is_live) {
        manifest_route_take_live(r, reading, &params[0]);
    }
}

void manifest_read_route(struct manifest_reader *r, const char *name) {
    struct script_generation *generation = r->generation;
    struct manifest_scope scope = {0};
    struct route_reading reading = {.route = {.method = "GET", .authenticated = true}};
    struct script_route *route = &reading.route;
    if (!manifest_load(r, name)) {
        return;
    }
    route->name = route->endpoint = manifest_text(generation, name);
    manifest_enter(r, &scope, NULL, "route");
    manifest_read_table(r, route_keys, COUNT(route_keys), false, &reading);
    route->method = route->method ? route->method : "GET";
    route->cache_key = reading.cache.key;
    route->cache_type = reading.cache.type ? reading.cache.type : route->endpoint;
    if (reading.path) {
        manifest_route_check_route(r, &reading);
        generation->routes[generation->route_count++] = *route;
    }
    manifest_leave(r);
}

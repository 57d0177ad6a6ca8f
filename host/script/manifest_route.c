/* Reads a route's declaration: method, path, endpoint, auth, cache. */
#include "script_private.h"

static const char *const route_keys[] = {"method", "path",  "aliases", "endpoint",
                                         "auth",   "cache", "handle",  NULL};
static const char *const cache_keys[] = {"key", "type", NULL};

static const char *text_field(lua_State *L, struct script_generation *generation, const char *key,
                              const char *otherwise) {
    lua_getfield(L, -1, key);
    const char *text =
        lua_type(L, -1) == LUA_TSTRING ? manifest_text(generation, lua_tostring(L, -1)) : otherwise;
    lua_pop(L, 1);
    return text;
}

static void read_paths(lua_State *L, struct script_generation *generation,
                       struct script_route *route) {
    lua_getfield(L, -1, "aliases");
    size_t aliases = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    const char **paths = manifest_alloc(generation, (aliases + 1) * sizeof *paths);
    for (size_t i = 0; i < aliases; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        if (lua_isstring(L, -1)) {
            paths[1 + route->path_count++] = manifest_text(generation, lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    paths[0] = text_field(L, generation, "path", NULL);
    route->path_count++;
    route->paths = paths;
}

bool manifest_read_route(struct script_instance *instance, struct script_generation *generation,
                         const char *name, struct err *err) {
    lua_State *L = instance->L;
    if (!sandbox_load(instance, name, err)) {
        return false;
    }
    if (!lua_istable(L, -1)) {
        return err_set(err, ERR_INPUT, "a route returns a table");
    }
    if (!manifest_check_keys(L, "route", route_keys, err)) {
        return false;
    }
    struct script_route *route = &generation->routes[generation->route_count++];
    route->name = manifest_text(generation, name);
    route->method = text_field(L, generation, "method", "GET");
    route->endpoint = text_field(L, generation, "endpoint", route->name);
    read_paths(L, generation, route);
    lua_getfield(L, -1, "auth");
    route->authenticated = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "cache");
    if (lua_istable(L, -1)) {
        if (!manifest_check_keys(L, "cache", cache_keys, err)) {
            return false;
        }
        route->cache_key = text_field(L, generation, "key", NULL);
        route->cache_type = text_field(L, generation, "type", route->endpoint);
    }
    lua_pop(L, 1);
    manifest_blame(L, "handle");
    lua_getfield(L, -1, "handle");
    bool ok = lua_isfunction(L, -1) || err_set(err, ERR_INPUT, "`handle` must be a function");
    lua_pop(L, 2);
    return ok && (route->paths[0] || err_set(err, ERR_INPUT, "`path` is missing"));
}

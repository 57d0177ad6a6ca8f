/* request_object: the `request` that routes read. Reading a name that it does not have raises an
 * error with the nearest one. */
#include "bindings/lua_names.h"
#include "script_private.h"

/* The items of what the requests of a route share: metatables. */
enum { SHARED_REQUEST = 1, SHARED_PARAMS, SHARED_QUERY, SHARED_HEADERS, SHARED_BODY };

static void request_object_push_params(lua_State *L, const struct script_route *route) {
    lua_newtable(L);
    for (size_t i = 0; i < route->path_count; i++) {
        for (const char *at = strchr(route->paths[i], '{'); at; at = strchr(at, '{')) {
            size_t len = strcspn(++at, "}");
            lua_pushlstring(L, at, len);
            lua_pushboolean(L, 1);
            lua_rawset(L, -3);
        }
    }
    lua_names_push_strict(L, "request.params", "", route->paths[0]);
}

/* Sets in the set of names at the top that it cannot be read. */
static void request_object_hide(lua_State *L, const char *name, const char *why) {
    lua_pushstring(L, why);
    lua_setfield(L, -2, name);
}

static void request_object_push_names(lua_State *L, const struct script_route *route) {
    static const char *const names[] = {"params", "query",          "headers",    "body",
                                        "method", "correlation_id", "traceparent"};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, names[i]);
    }
    if (route->cache_key && !route->query) {
        request_object_hide(L, "query",
                            "is not available: a cached route declares its `query`, and names it "
                            "in `cache.vary`");
    }
    if (!route->headers) {
        request_object_hide(L, "headers", "is not available: the route declares no `headers`");
    }
    if (!route->body) {
        request_object_hide(L, "body", "is not available: the route declares no `body`");
    }
    lua_names_push_strict(L, "request", "", NULL);
}

/* Sets item `at` of the table at the top, where the part is declared. */
static void request_object_set_part(lua_State *L, int at, const struct script_part *part,
                                    const char *owner, const char *place) {
    if (part && part->plan) {
        event_push_strict(L, part->fields, part->field_count, owner, place);
        lua_rawseti(L, -2, at);
    }
}

void request_push_shared(struct script_instance *instance, const struct script_route *route) {
    lua_State *L = instance->host.L;
    const struct bundle_file *file = bundle_find(&instance->generation->bundle, route->name);
    const char *place = lua_pushfstring(L, "%s", file ? file->path : route->name);
    lua_createtable(L, SHARED_BODY, 0);
    request_object_push_names(L, route);
    lua_rawseti(L, -2, SHARED_REQUEST);
    request_object_push_params(L, route);
    lua_rawseti(L, -2, SHARED_PARAMS);
    request_object_set_part(L, SHARED_QUERY, route->query, "request.query", place);
    request_object_set_part(L, SHARED_HEADERS, route->headers, "request.headers", place);
    request_object_set_part(L, SHARED_BODY, route->body ? &route->body->part : NULL, "request.body",
                            place);
    lua_remove(L, -2);
}

/* ---- one request --------------------------------------------------------------------------- */

/* Gives the table at the top the metatable in the shared item. */
static void request_object_set_names(lua_State *L, int shared, int item) {
    lua_rawgeti(L, shared, item);
    lua_setmetatable(L, -2);
}

static void request_object_push_pairs(lua_State *L, const struct script_pair *pairs, size_t count) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, pairs[i].name.data, pairs[i].name.len);
        lua_pushlstring(L, pairs[i].value.data, pairs[i].value.len);
        lua_rawset(L, -3);
    }
}

/* Sets request[key] from the values of a declared part. */
static void request_object_set_values(lua_State *L, int shared, int item, const char *key,
                                      const struct script_part *part,
                                      const struct extract_value *values) {
    event_push_values(L, part->fields, part->field_count, values);
    request_object_set_names(L, shared, item);
    lua_setfield(L, -2, key);
}

static void request_object_set_body(lua_State *L, int shared, const struct script_body *body,
                                    const struct script_request *request) {
    if (body->part.plan) {
        request_object_set_values(L, shared, SHARED_BODY, "body", &body->part,
                                  request->inputs.body);
    } else {
        lua_pushlstring(L, request->body.data ? request->body.data : "", request->body.len);
        lua_setfield(L, -2, "body");
    }
}

static void request_object_set_inputs(lua_State *L, int shared, const struct script_route *route,
                                      const struct script_request *request) {
    const struct script_inputs *inputs = &request->inputs;
    if (route->query) {
        request_object_set_values(L, shared, SHARED_QUERY, "query", route->query, inputs->query);
    } else if (!route->cache_key) {
        request_object_push_pairs(L, request->query, request->query_count);
        lua_setfield(L, -2, "query");
    }
    if (route->headers) {
        request_object_set_values(L, shared, SHARED_HEADERS, "headers", route->headers,
                                  inputs->headers);
    }
    if (route->body) {
        request_object_set_body(L, shared, route->body, request);
    }
}

void request_push(lua_State *L, const struct script_route *route,
                  const struct script_request *request) {
    int shared = lua_gettop(L);
    lua_createtable(L, 0, 7);
    request_object_push_pairs(L, request->params, request->param_count);
    request_object_set_names(L, shared, SHARED_PARAMS);
    lua_setfield(L, -2, "params");
    request_object_set_inputs(L, shared, route, request);
    lua_pushstring(L, route->method);
    lua_setfield(L, -2, "method");
    lua_pushstring(L, request->correlation_id);
    lua_setfield(L, -2, "correlation_id");
    if (request->traceparent.data) {
        lua_pushlstring(L, request->traceparent.data, request->traceparent.len);
        lua_setfield(L, -2, "traceparent");
    }
    request_object_set_names(L, shared, SHARED_REQUEST);
}

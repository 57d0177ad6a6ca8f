/* testing.routes: sends requests to production's routes, with the state's bindings. Documented in
 * docs/types/testing/routes.lua. */
#include <stdlib.h>

#include "base/traceparent.h"
#include "spec_private.h"

#define MAX_PAIRS 32

struct call {
    struct script_request request;
    struct script_pair params[MAX_PAIRS];
    struct script_pair query[MAX_PAIRS];
    struct script_pair headers[MAX_PAIRS];
};

/* Reads the strings of request[key], borrowed from it. */
static size_t spec_routes_read_pairs(lua_State *L, const char *key, struct script_pair *pairs) {
    size_t count = 0;
    lua_getfield(L, 2, key);
    luaL_argcheck(L, lua_isnil(L, -1) || lua_istable(L, -1), 2,
                  "params, query and headers are tables");
    for (lua_pushnil(L); lua_istable(L, -2) && lua_next(L, -2); lua_pop(L, 1)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING, 2,
                      "params, query and headers map strings to strings");
        luaL_argcheck(L, count < MAX_PAIRS, 2, "too many params, query items or headers");
        struct script_pair *pair = &pairs[count++];
        pair->name.data = lua_tolstring(L, -2, &pair->name.len);
        pair->value.data = lua_tolstring(L, -1, &pair->value.len);
    }
    lua_settop(L, 2);
    return count;
}

/* The body: a string as it is, a table as its JSON; it stays on the stack. */
static struct slice spec_routes_read_body(lua_State *L) {
    struct slice body = {0};
    lua_getfield(L, 2, "body");
    if (lua_istable(L, -1)) {
        spec_call_json(L, "encode");
        if (lua_isnil(L, -2)) {
            lua_error(L);
        }
        lua_pop(L, 1);
    }
    luaL_argcheck(L, lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING, 2,
                  "body is a string or a table");
    if (!lua_isnil(L, -1)) {
        body.data = lua_tolstring(L, -1, &body.len);
    }
    return body;
}

/* Sets `error` from a body {"error": "…"}. */
static void spec_routes_set_error(lua_State *L, struct slice body) {
    int response = lua_gettop(L);
    lua_pushlstring(L, body.data, body.len);
    spec_call_json(L, "decode");
    lua_pop(L, 1);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "error");
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_setfield(L, response, "error");
        }
    }
    lua_settop(L, response);
}

static void spec_routes_set_number(lua_State *L, const char *key, int number) {
    lua_pushinteger(L, number);
    lua_setfield(L, -2, key);
}

/* Sets `headers` from lines "Name: value", each with CRLF. */
static void spec_routes_set_headers(lua_State *L, const char *lines) {
    lua_newtable(L);
    for (const char *at = lines; at && *at;) {
        size_t name_len = strcspn(at, ":"), len = strcspn(at, "\r");
        lua_pushlstring(L, at, name_len);
        lua_pushlstring(L, at + name_len + 2, len - name_len - 2);
        lua_rawset(L, -3);
        at += len + 2;
    }
    lua_setfield(L, -2, "headers");
}

/* ---- streamed responses -------------------------------------------------------------------- */

/* Sets `parts`, and `body` of all together. */
static void spec_routes_set_parts(lua_State *L, const struct script_parts *parts) {
    const char *at = parts->body.data;
    lua_pushlstring(L, at ? at : "", parts->body.len);
    lua_setfield(L, -2, "body");
    lua_newtable(L);
    for (size_t i = 0; i < parts->lens.len / sizeof(size_t); i++) {
        size_t len;
        memcpy(&len, parts->lens.data + i * sizeof len, sizeof len);
        lua_pushlstring(L, at, len);
        lua_rawseti(L, -2, (int)i + 1);
        at += len;
    }
    lua_setfield(L, -2, "parts");
}

/* ---- responses ------------------------------------------------------------------------------ */

/* All is copied into Lua before the response is freed. */
static void spec_routes_push_response(lua_State *L, const struct script_response *response) {
    lua_newtable(L);
    spec_routes_set_number(L, "status", response->status);
    lua_pushlstring(L, response->body.data ? response->body.data : "", response->body.len);
    lua_setfield(L, -2, "body");
    if (response->status >= 400) {
        spec_routes_set_error(L, response->body);
    }
    spec_routes_set_headers(L, response->headers.lines);
    spec_set_tags(L, response->tags, response->tag_count);
}

/* The server's own response. */
static void spec_routes_push_outage(lua_State *L) {
    lua_newtable(L);
    spec_routes_set_number(L, "status", 503);
    spec_routes_set_number(L, "retry_after", 1);
    lua_pushliteral(L, "Service unavailable");
    lua_setfield(L, -2, "error");
    lua_pushliteral(L, "{\"error\":\"Service unavailable\"}");
    lua_setfield(L, -2, "body");
    spec_set_tags(L, NULL, 0);
}

static void spec_routes_push_failure(lua_State *L, const struct err *err) {
    lua_newtable(L);
    spec_routes_set_number(L, "status", 500);
    lua_pushliteral(L, "Internal server error");
    lua_setfield(L, -2, "error");
    lua_pushstring(L, err->text);
    lua_setfield(L, -2, "failure");
}

/* The server's own response to a request that the declaration does not allow. */
static void spec_routes_push_refused(lua_State *L, const struct err *err) {
    lua_newtable(L);
    spec_routes_set_number(L, "status", 400);
    lua_pushstring(L, err->text);
    lua_setfield(L, -2, "error");
    spec_set_tags(L, NULL, 0);
}

/* Reads the table at 2. The texts stay in it and on the stack. */
static void spec_routes_read_request(lua_State *L, struct call *call) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "correlation_id");
    call->request.correlation_id = luaL_optstring(L, -1, "spec");
    lua_getfield(L, 2, "traceparent");
    call->request.traceparent = traceparent_read(slice_of(luaL_optstring(L, -1, NULL)));
    call->request.param_count = spec_routes_read_pairs(L, "params", call->params);
    call->request.query_count = spec_routes_read_pairs(L, "query", call->query);
    call->request.header_count = spec_routes_read_pairs(L, "headers", call->headers);
    call->request.params = call->params;
    call->request.query = call->query;
    call->request.headers = call->headers;
    call->request.body = spec_routes_read_body(L);
}

/* Sets `cache_key` of the response at the top; a route without `cache` has none. */
static void spec_routes_set_key(lua_State *L, const struct script_route *route,
                                const struct script_request *request) {
    struct buffer key = {0};
    if (route->cache_key && script_cache_key(route, request, &key)) {
        lua_pushlstring(L, key.data, key.len);
        lua_setfield(L, -2, "cache_key");
    }
    buffer_free(&key);
}

static void spec_routes_push_answer(lua_State *L, struct script_request *request) {
    struct script_instance *instance = sandbox_instance(L);
    struct script_response response = {0};
    struct script_parts parts = {0};
    const struct script_sink sink = script_parts_sink(&parts);
    struct err err = {0};
    request->sink = &sink;
    enum script_result result = script_answer(instance, request, &response, &err);
    request->sink = NULL; /* it ends here */
    if (result == SCRIPT_OK) {
        spec_routes_push_response(L, &response);
        spec_routes_set_key(L, &instance->generation->routes[request->route], request);
    } else if (result == SCRIPT_OUTAGE) {
        spec_routes_push_outage(L);
    } else {
        spec_routes_push_failure(L, &err);
    }
    if (response.is_stream || parts.lens.len > 0) {
        spec_routes_set_parts(L, &parts);
    }
    script_response_free(&response);
    script_parts_free(&parts);
}

static int spec_routes_lua_call_route(lua_State *L) {
    const struct script_generation *generation = sandbox_instance(L)->generation;
    struct call call;
    struct err err = {0};
    memset(&call, 0, sizeof call);
    call.request.route = spec_find_script(L, "route", luaL_checkstring(L, 1), generation->routes,
                                          generation->route_count, sizeof *generation->routes);
    lua_settop(L, 2);
    spec_routes_read_request(L, &call);
    struct arena *arena = arena_create(4096);
    if (script_read_inputs(&generation->routes[call.request.route], &call.request, arena, &err)) {
        spec_routes_push_answer(L, &call.request);
    } else {
        spec_routes_push_refused(L, &err);
    }
    arena_destroy(arena);
    return 1;
}

void spec_routes_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"call", spec_routes_lua_call_route}, {"tag", spec_lua_tag}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}

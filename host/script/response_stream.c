/* response_stream: `stream` of a route's response: a function that is called with `write`, and
 * whose parts go to the request's sink. */
#include "bindings/lua_util.h"
#include "script_private.h"

static const char response_stream_write[] = "write";

static void response_stream_check(lua_State *L, int at, const struct script_route *route) {
    static const char *const others[] = {"body", "error", "unavailable", "tags"};
    if (!lua_isfunction(L, -1)) {
        luaL_error(L, "`stream` of its response is a function(write), not a %s",
                   luaL_typename(L, -1));
    }
    if (!route->streams) {
        luaL_error(L, "its response has `stream`: declare `stream = true` in the route");
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        lua_pushstring(L, others[i]);
        lua_rawget(L, at);
        if (!lua_isnil(L, -1)) {
            luaL_error(L, "its response has `%s` and `stream`: give one of them", others[i]);
        }
        lua_pop(L, 1);
    }
}

/* What follows the first part can change neither status nor headers. */
static void response_stream_check_status(lua_State *L, int at) {
    lua_pushliteral(L, "status");
    lua_rawget(L, at);
    double status = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (!(status >= 200 && status <= 299) || status == 204 || status == 205) {
        luaL_error(L, "`status` of a response with `stream` is 200 to 299, without 204 and 205");
    }
    lua_pop(L, 1);
}

bool response_stream_take(lua_State *L, int at, const struct script_route *route) {
    lua_pushliteral(L, "stream");
    lua_rawget(L, at);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    response_stream_check(L, at, route);
    response_stream_check_status(L, at);
    return true;
}

/* write(part). Raises once the client takes nothing more, which ends the stream. */
static int response_stream_lua_write(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    struct slice part = lua_check_text(L, 1, response_stream_write, "the part");
    if (!instance->sink || lua_tointeger(L, lua_upvalueindex(1)) != instance->stream_serial) {
        luaL_error(L, "%s: the stream has ended", response_stream_write);
    }
    script_limit_suspend(instance);
    const char *refusal = instance->sink->write(instance->sink->context, part);
    if (refusal) {
        /* The call keeps the rest of its time: a script that catches this error ends by it. */
        watched_set(&instance->watched, instance->host.limit.started_us,
                    instance->host.limit.deadline_us);
        instance->stream_refused = true;
        luaL_error(L, "%s: %s", response_stream_write, refusal);
    }
    script_limit_renew(instance, instance->config->scripts.route_timeout_ms);
    return 0;
}

static void response_stream_check_results(lua_State *L, int failure) {
    int type = lua_type(L, failure - 1);
    bool is_false = type == LUA_TBOOLEAN && !lua_toboolean(L, failure - 1);
    if (is_false || (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TNUMBER)) {
        luaL_error(L,
                   "`stream` of its response returned %s: return nothing, true, a count, or nil "
                   "and the failure",
                   is_false ? "false" : lua_typename(L, type));
    }
}

/* The function's results are nothing, true, a count as that of pg.each, or nil and the failure:
 * a binding's, or a text. Of one that will pass the stream is unavailable, any other is the
 * script's error. */
static bool response_stream_take_failure(lua_State *L, struct err *outage) {
    int failure = lua_gettop(L);
    response_stream_check_results(L, failure);
    if (!lua_isnil(L, failure - 1) || lua_isnil(L, failure)) {
        return false;
    }
    if (!lua_istable(L, failure)) {
        luaL_error(L, "its stream failed: %s",
                   lua_isstring(L, failure) ? lua_tostring(L, failure) : luaL_typename(L, failure));
    }
    response_read_failure(L, failure, outage);
    if (outage->kind != ERR_UNAVAILABLE && outage->kind != ERR_TIMEOUT) {
        luaL_error(L, "its stream failed: %s", outage->text);
    }
    return true;
}

bool response_stream_run(lua_State *L, const struct script_sink *sink,
                         const struct script_response *response, struct err *outage) {
    struct script_instance *instance = sandbox_instance(L);
    lua_pushinteger(L, ++instance->stream_serial);
    lua_pushcclosure(L, response_stream_lua_write, 1);
    instance->sink = sink;
    sink->begin(sink->context, response);
    script_limit_renew(instance, instance->config->scripts.route_timeout_ms);
    lua_call(L, 1, 2);
    return response_stream_take_failure(L, outage);
}

/* outage: tells an outage of an outside system from a handler's own error. A binding's failure of
 * kind "unavailable" or "timeout" is noted when the script gets it. The script passes it on by
 * raising a failure of such a kind, returning it after nil, raising a text that contains the noted
 * message, or timing out afterwards. A call whose time limit went by in waits is an outage for
 * script_call already. */
#include "script_private.h"

static bool outage_is_kind(const char *kind) {
    return strcmp(kind, err_kind_name(ERR_UNAVAILABLE)) == 0 ||
           strcmp(kind, err_kind_name(ERR_TIMEOUT)) == 0;
}

void outage_begin(struct script_instance *instance) {
    instance->host.failure[0] = '\0';
    instance->outage_passed_on = false;
}

/* Pushes kind and message of the value at the absolute index, read raw. False: not a failure;
 * nothing is pushed. */
static bool outage_push_failure(lua_State *L, int at) {
    if (!lua_istable(L, at)) {
        return false;
    }
    lua_pushliteral(L, "kind");
    lua_rawget(L, at);
    lua_pushliteral(L, "message");
    lua_rawget(L, at);
    bool failure = lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING;
    if (!failure) {
        lua_pop(L, 2);
    }
    return failure;
}

void outage_look(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    if (outage_push_failure(L, 1)) {
        instance->outage_passed_on =
            instance->outage_passed_on || outage_is_kind(lua_tostring(L, -2));
        lua_replace(L, 1);
        lua_pop(L, 1);
    } else if (lua_type(L, 1) == LUA_TSTRING && instance->host.failure[0] &&
               strstr(lua_tostring(L, 1), instance->host.failure)) {
        instance->outage_passed_on = true;
    }
}

void outage_raise_returned(lua_State *L) {
    int at = lua_gettop(L);
    if (lua_isnil(L, at - 1) && outage_push_failure(L, at)) {
        lua_settop(L, at);
        lua_error(L);
    }
    if (!lua_isnil(L, at)) {
        luaL_error(L,
                   "the second result is a %s: a handler returns nothing, \"ignored\", or nil and "
                   "a failure as bindings return it",
                   luaL_typename(L, at));
    }
    lua_pop(L, 1);
}

enum script_result outage_result(const struct script_instance *instance, enum script_result result,
                                 struct err *err) {
    bool waited = result == SCRIPT_TIMEOUT && instance->host.failure[0];
    if (result == SCRIPT_OUTAGE) {
        err->kind = ERR_UNAVAILABLE;
        return result;
    }
    if (instance->host.muted || (!instance->outage_passed_on && !waited)) {
        return result;
    }
    err->kind = ERR_UNAVAILABLE;
    return waited ? (err_wrap(err, "%s", instance->host.failure), SCRIPT_OUTAGE) : SCRIPT_OUTAGE;
}

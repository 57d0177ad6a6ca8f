/* minmax: math.min and math.max with one result for NaN and -0. LuaJIT's own depend on whether they
 * are compiled: its compiler swaps their operands. */
#include <lualib.h>

#include "script_private.h"

/* Two numbers are compared in Lua, which is compiled into the script's loop. */
static const char minmax_text[] = "local least, greatest, type = ...\n"
                                  "return function(a, b, ...)\n"
                                  "  if type(a) == 'number' and type(b) == 'number' and "
                                  "(...) == nil then return a < b and a or b end\n"
                                  "  return least(a, b, ...)\n"
                                  "end, function(a, b, ...)\n"
                                  "  if type(a) == 'number' and type(b) == 'number' and "
                                  "(...) == nil then return a > b and a or b end\n"
                                  "  return greatest(a, b, ...)\n"
                                  "end";

/* The number at `at`; luaL_checknumber would not know the function's name after a tail call. */
static lua_Number minmax_number(lua_State *L, int at, const char *function) {
    if (!lua_isnumber(L, at)) {
        luaL_error(L, "bad argument #%d to '%s' (number expected, got %s)", at, function,
                   luaL_typename(L, at));
    }
    return lua_tonumber(L, at);
}

/* The number of arguments; a missing second one is nil here. */
static int minmax_count(lua_State *L) {
    int count = lua_gettop(L);
    return count == 2 && lua_isnil(L, 2) ? 1 : count;
}

static int minmax_least(lua_State *L) {
    lua_Number found = minmax_number(L, 1, "min");
    for (int i = 2, count = minmax_count(L); i <= count; i++) {
        lua_Number number = minmax_number(L, i, "min");
        found = found < number ? found : number;
    }
    lua_pushnumber(L, found);
    return 1;
}

static int minmax_greatest(lua_State *L) {
    lua_Number found = minmax_number(L, 1, "max");
    for (int i = 2, count = minmax_count(L); i <= count; i++) {
        lua_Number number = minmax_number(L, i, "max");
        found = found > number ? found : number;
    }
    lua_pushnumber(L, found);
    return 1;
}

void minmax_replace(lua_State *L) {
    lua_getglobal(L, LUA_MATHLIBNAME);
    if (luaL_loadbuffer(L, minmax_text, sizeof minmax_text - 1, "=math")) {
        lua_error(L);
    }
    lua_pushcfunction(L, minmax_least);
    lua_pushcfunction(L, minmax_greatest);
    lua_getglobal(L, "type");
    lua_call(L, 3, 2);
    lua_setfield(L, -3, "max");
    lua_setfield(L, -2, "min");
    lua_pop(L, 1);
}

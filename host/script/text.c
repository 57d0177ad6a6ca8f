/* text: tostring and string.format without addresses, which no replay can repeat: a table is
 * "table". */
#include "script_private.h"

/* Whether the original functions would write an address. */
static bool text_would_write_address(lua_State *L, int at) {
    int type = lua_type(L, at);
    bool plain = type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TUSERDATA &&
                 type != LUA_TLIGHTUSERDATA && type != LUA_TTHREAD;
    if (plain) {
        return false;
    }
    if (luaL_getmetafield(L, at, "__tostring")) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

/* Upvalue: the original. */
static int text_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    if (text_would_write_address(L, 1)) {
        lua_pushstring(L, luaL_typename(L, 1));
        return 1;
    }
    lua_settop(L, 1);
    if (lua_istable(L, 1) || lua_isuserdata(L, 1)) { /* its __tostring may recurse */
        lua_host_check_stack(L);
        lua_host_check_time(L);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* Upvalue: the original. */
static int text_format(lua_State *L) {
    size_t len;
    const char *at = luaL_checklstring(L, 1, &len), *end = at + len; /* it may hold NULs */
    int argument = 1;
    while ((at = memchr(at, '%', (size_t)(end - at)))) {
        at += 1 + strspn(at + 1, "-+ #0123456789.");
        if (*at == '%') {
            at++;
            continue;
        }
        argument++;
        if (*at == 'p') {
            return luaL_error(L,
                              "string.format: %%p writes an address, which a replay cannot repeat");
        }
        if (*at == 's' && text_would_write_address(L, argument)) {
            lua_pushstring(L, luaL_typename(L, argument));
            lua_replace(L, argument);
        }
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

void text_replace(lua_State *L) {
    lua_getglobal(L, "tostring");
    lua_pushcclosure(L, text_tostring, 1);
    lua_setglobal(L, "tostring");
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, text_format, 1);
    lua_setfield(L, -2, "format");
    lua_pop(L, 1);
}

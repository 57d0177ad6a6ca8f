/* repl_show: what repl_show.lua, which the binary carries, needs of C. */
#include <luajit.h>

#include "bindings/lua_util.h"
#include "repl_private.h"
#include "repl_show.lua.h"

/* original(value) */
static int repl_show_original(lua_State *L) {
    protect_push_original(L, 1);
    return 1;
}

/* next_of(table, key); the sandbox's own raises for keys without an order. */
static int repl_show_next(lua_State *L) {
    lua_settop(L, 2);
    return lua_next(L, 1) ? 2 : (lua_pushnil(L), 1);
}

/* describe(value) */
static int repl_show_describe(lua_State *L) {
    char number[LUA_NUMBER_TEXT_CAP];
    lua_Debug where;
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_pushstring(L, lua_format_number(lua_tonumber(L, 1), number));
    } else if (!lua_isfunction(L, 1)) {
        lua_pushstring(L, lua_islightuserdata(L, 1) && !lua_touserdata(L, 1) ? "json.null"
                                                                             : luaL_typename(L, 1));
    } else if (lua_getinfo(L, ">S", &where) && where.linedefined > 0) {
        lua_pushfstring(L, "function (%s:%d)", where.short_src, where.linedefined);
    } else {
        lua_pushliteral(L, "function (built in)");
    }
    return 1;
}

void repl_push_raw(lua_State *L) {
    lua_pushcfunction(L, repl_show_original);
    lua_pushcfunction(L, repl_show_next);
}

void repl_push_chunk(lua_State *L, const unsigned char *chunk, size_t len, const char *name) {
    if (luaL_loadbuffer(L, (const char *)chunk, len, name)) {
        lua_error(L);
    }
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF); /* it has no guards */
}

void repl_show_push(lua_State *L) {
    repl_push_chunk(L, repl_show_lua, sizeof repl_show_lua - 1, "=repl_show");
    repl_push_raw(L);
    lua_pushcfunction(L, repl_show_describe);
    lua_call(L, 3, 1);
}

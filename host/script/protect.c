/* protect: read-only proxies for tables that all scripts of a state share, so that one event cannot
 * change what the next one sees. A proxy stays empty: reads go to the table, writes raise. */
#include "script_private.h"

static char proxies_key; /* registry key of { [proxy] = table } */

static void protect_push_proxies(lua_State *L) {
    lua_pushlightuserdata(L, &proxies_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

void protect_open(lua_State *L) {
    lua_pushlightuserdata(L, &proxies_key);
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Upvalue: the table's name. */
static int protect_refuse_write(lua_State *L) {
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return luaL_error(L, "%s is read-only: \"%s\" cannot be set", //
                      lua_tostring(L, lua_upvalueindex(1)), key);
}

void protect_table(lua_State *L, const char *name) {
    int table = lua_gettop(L);
    lua_newtable(L);
    lua_createtable(L, 0, 3); /* [table, proxy, metatable] */
    lua_pushvalue(L, table);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, protect_refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "read-only"); /* hides the metatable, and blocks setmetatable */
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    protect_push_proxies(L);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, table);
    lua_rawset(L, -3); /* [table, proxy, proxies] */
    lua_pop(L, 1);
    lua_remove(L, table);
}

void protect_push_original(lua_State *L, int at) {
    lua_pushvalue(L, at);
    protect_push_proxies(L);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_replace(L, -3); /* [original, proxies] */
    lua_pop(L, 1);
}

int protect_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    protect_push_original(L, 1);
    if (!lua_isnil(L, -1)) {
        return luaL_error(L, "rawset: the table is read-only");
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

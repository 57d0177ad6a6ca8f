/* Opens io, os, debug and package for busted and the runner, in a table of its own that scripts
 * cannot reach, with copies of the tables that these libraries extend. */
#include <lualib.h>

#include "script/compiler.h"
#include "spec_private.h"

static void spec_libraries_copy_table(lua_State *L, int from, int to) {
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

void spec_libraries_push(lua_State *L) {
    static const luaL_Reg opened[] = {{"", luaopen_base},
                                      {LUA_LOADLIBNAME, luaopen_package},
                                      {LUA_IOLIBNAME, luaopen_io},
                                      {LUA_OSLIBNAME, luaopen_os},
                                      {LUA_MATHLIBNAME, luaopen_math},
                                      {LUA_DBLIBNAME, luaopen_debug},
                                      {LUA_JITLIBNAME, luaopen_jit}};
    static const char *const copied[] = {LUA_STRLIBNAME, LUA_TABLIBNAME};
    lua_newtable(L);
    int libraries = lua_gettop(L);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    int sandbox = lua_gettop(L);
    /* Openers write to the globals and to the list of loaded libraries: replace both for now. */
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushvalue(L, libraries);
    lua_replace(L, LUA_GLOBALSINDEX);
    for (size_t i = 0; i < sizeof opened / sizeof *opened; i++) {
        lua_pushcfunction(L, opened[i].func);
        lua_pushstring(L, opened[i].name);
        lua_call(L, 1, 0);
    }
    lua_pushvalue(L, sandbox);
    lua_replace(L, LUA_GLOBALSINDEX);
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        lua_newtable(L);
        lua_getfield(L, sandbox, copied[i]);
        protect_push_original(L, lua_gettop(L)); /* [copy, proxy, original] */
        spec_libraries_copy_table(L, lua_gettop(L), lua_gettop(L) - 2);
        lua_pop(L, 2);
        lua_setfield(L, libraries, copied[i]);
    }
    compiler_restore(L); /* luaopen_jit turned it on */
    lua_settop(L, libraries);
}

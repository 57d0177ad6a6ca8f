/* compiler_aborts: counts what LuaJIT's compiler gave up in a state, by place and reason, as its
 * own jit.v prints it. For tools alone: LuaJIT of 2023 may walk off the stack when it reports an
 * abort after an error. */
#pragma once

#include <lauxlib.h>
#include <luajit.h>

#include "script/script_private.h"

#define COMPILER_ABORTS "aggregator.aborts" /* registry key of the function that prints them */

/* Arguments: jit.attach, jit.util.funcinfo, the texts of reasons by their number. */
static const char compiler_aborts_text[] =
    "local attach, funcinfo, texts = ...\n"
    "local counts, lines = {}, {}\n"
    "attach(function(what, _, func, pc, reason, detail)\n"
    "  if what ~= 'abort' then return end\n"
    "  if type(detail) == 'function' then\n"
    "    local info = funcinfo(detail)\n"
    "    detail = info.loc or 'a C function'\n"
    "  end\n"
    "  local text = texts[reason] or tostring(reason)\n"
    "  local line = ('%s: %s'):format(funcinfo(func, pc).loc or '?',\n"
    "    text:find('%', 1, true) and text:format(detail) or text)\n"
    "  if not counts[line] then lines[#lines + 1] = line end\n"
    "  counts[line] = (counts[line] or 0) + 1\n"
    "end, 'trace')\n"
    "return function()\n"
    "  table.sort(lines, function(a, b) return counts[a] > counts[b] end)\n"
    "  for i, line in ipairs(lines) do lines[i] = counts[line] .. ' ' .. line .. '\\n' end\n"
    "  return table.concat(lines)\n"
    "end";

/* Pushes a function of a table of the registry's table: REGISTRY[table][library].name; a library of
 * _PRELOAD is a function that returns it. */
static void compiler_aborts_push(lua_State *L, const char *table, const char *library,
                                 const char *name) {
    lua_getfield(L, LUA_REGISTRYINDEX, table);
    lua_getfield(L, -1, library);
    if (lua_isfunction(L, -1)) {
        lua_call(L, 0, 1);
    }
    lua_getfield(L, -1, name);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Pushes jit.vmdef's texts; a table without any if LuaJIT's Lua files are not installed. */
static void compiler_aborts_push_texts(lua_State *L) {
    const char *path = lua_pushfstring(L, "/usr/share/luajit-%s/jit/vmdef.lua",
                                       &LUAJIT_VERSION[sizeof "LuaJIT " - 1]);
    if (luaL_loadfile(L, path) != 0) {
        lua_newtable(L);
        return;
    }
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "traceerr");
}

static int compiler_aborts_attach(lua_State *L) {
    if (luaL_loadstring(L, compiler_aborts_text) != 0) {
        return lua_error(L);
    }
    int chunk = lua_gettop(L);
    compiler_aborts_push(L, "_LOADED", "jit", "attach");
    compiler_aborts_push(L, "_PRELOAD", "jit.util", "funcinfo");
    compiler_aborts_push_texts(L);
    lua_replace(L, chunk + 3);
    lua_settop(L, chunk + 3);
    lua_call(L, 3, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, COMPILER_ABORTS);
    return 0;
}

static int compiler_aborts_write(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, COMPILER_ABORTS);
    lua_call(L, 0, 1);
    fputs(lua_tostring(L, -1), stdout);
    return 0;
}

/* Counts from now on. False: err has Lua's error. */
static bool compiler_aborts_begin(struct script_instance *instance, struct err *err) {
    return !instance->host.compiled || script_guard(instance, compiler_aborts_attach, NULL, err);
}

/* Prints "COUNT FILE:LINE: REASON" for each place and reason, the most frequent first. */
static bool compiler_aborts_print(struct script_instance *instance, struct err *err) {
    return !instance->host.compiled || script_guard(instance, compiler_aborts_write, NULL, err);
}

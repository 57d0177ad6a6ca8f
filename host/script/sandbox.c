/* sandbox: a Lua state with an explicit list of libraries, a memory cap, strict globals, and
 * `require` for the bindings and the files of the bundle. A guard rail, not a wall. */
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>

#include "../../bindings/lua_modules.h"
#include "script_private.h"

#define MAX_PATTERN_SUBJECT_BYTES 65536

static char instance_key; /* its address is the registry key */

struct script_instance *sandbox_instance(lua_State *L) {
    lua_pushlightuserdata(L, &instance_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    struct script_instance *instance = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return instance;
}

static void *allocate(void *context, void *memory, size_t old_size, size_t new_size) {
    struct script_instance *instance = context;
    if (new_size == 0) {
        free(memory);
        instance->memory_used -= old_size;
        return NULL;
    }
    if (new_size > old_size &&
        instance->memory_used + new_size - old_size > instance->memory_limit) {
        return NULL;
    }
    void *grown = realloc(memory, new_size);
    if (grown) {
        instance->memory_used += new_size - old_size;
    }
    return grown;
}

/* require "lib.x" or "pg" */
static int lua_require(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "aggregator.modules");
    lua_getfield(L, -1, name);
    if (!lua_isnil(L, -1)) {
        return 1;
    }
    lua_CFunction open = lua_modules_find(name);
    if (open) {
        lua_pushcfunction(L, open);
        lua_call(L, 0, 1);
    } else {
        const char *path = luaL_gsub(L, name, ".", "/");
        const struct bundle_file *file = bundle_find(&instance->generation->bundle, path);
        if (!file) {
            return luaL_error(L, "module \"%s\" is neither a binding nor a file under scripts/",
                              name);
        }
        lua_pushfstring(L, "@%s", file->path);
        if (luaL_loadbufferx(L, file->text, file->len, lua_tostring(L, -1), "t")) {
            return lua_error(L);
        }
        lua_call(L, 0, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* A pattern over a long subject can take for ever inside C, where no hook fires. */
static int bounded_pattern(lua_State *L) {
    size_t len;
    luaL_checklstring(L, 1, &len);
    luaL_argcheck(L, len <= MAX_PATTERN_SUBJECT_BYTES, 1, "too long for a pattern");
    luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, len <= 256, 2, "too long a pattern");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int bounded_rep(lua_State *L) {
    size_t len;
    luaL_checklstring(L, 1, &len);
    lua_Number times = luaL_checknumber(L, 2);
    luaL_argcheck(L, times <= 0 || (double)len * times <= 16.0 * 1024 * 1024, 2,
                  "would make a string over 16 MiB");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static void wrap(lua_State *L, const char *name, lua_CFunction wrapper) {
    lua_getfield(L, -1, name); /* [string, original] */
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, -2, name);
}

static int refuse_global(lua_State *L) {
    return luaL_error(L, "global \"%s\" is not declared: say local", lua_tostring(L, 2));
}

static int set_up(lua_State *L) {
    static const luaL_Reg libraries[] = {{"", luaopen_base},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math}};
    static const char *const removed[] = {"load",    "loadstring", "loadfile",      "dofile",
                                          "setfenv", "getfenv",    "newproxy",      "module",
                                          "print",   "gcinfo",     "collectgarbage"};
    static const char *const patterns[] = {"find", "match", "gmatch", "gsub"};
    lua_pushlightuserdata(L, &instance_key);
    lua_pushvalue(L, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(L);
        lua_setglobal(L, removed[i]);
    }
    lua_getglobal(L, "string");
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        wrap(L, patterns[i], bounded_pattern);
    }
    wrap(L, "rep", bounded_rep);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "aggregator.modules");
    lua_register(L, "require", lua_require);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 0;
}

bool sandbox_open(struct script_instance *instance, struct err *err) {
    instance->memory_limit = (size_t)instance->config->scripts.memory_limit_mb * 1024 * 1024;
    instance->L = lua_newstate(allocate, instance);
    if (!instance->L) {
        return err_set(err, ERR_INTERNAL, "no memory for a Lua state");
    }
    luaJIT_setmode(instance->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_modules_set_config(instance->L, instance->config, &instance->generation->bundle);
    if (lua_cpcall(instance->L, set_up, instance) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot set up a Lua state: %s",
                       lua_tostring(instance->L, -1));
    }
    instance->healthy = true;
    return true;
}

bool sandbox_load(struct script_instance *instance, const char *name, struct err *err) {
    lua_getglobal(instance->L, "require");
    lua_pushstring(instance->L, name);
    instance->loading = true;
    bool ok = script_call(instance, 1, 1, 5000, err) == SCRIPT_OK;
    instance->loading = false;
    return ok;
}

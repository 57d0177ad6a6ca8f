#include "calls.h"

#include <luajit.h>

#include "base/clock.h"
#include "bindings/lua_modules.h"
#include "calls.lua.h"
#include "script/script_private.h"

#define REPORT "aggregator.calls" /* registry key of the function */

static const char *const calls_bindings[] = {"pg", "redis", "http", "kafka"};
#define BINDING_COUNT (sizeof calls_bindings / sizeof *calls_bindings)

static int calls_lua_now_us(lua_State *L) {
    lua_pushnumber(L, (lua_Number)clock_monotonic_us());
    return 1;
}

/* The bindings as `require` gives them: doubles, if they are installed. */
static void calls_push_bindings(lua_State *L) {
    lua_createtable(L, 0, BINDING_COUNT);
    for (size_t i = 0; i < BINDING_COUNT; i++) {
        lua_getglobal(L, "require");
        lua_pushstring(L, calls_bindings[i]);
        lua_call(L, 1, 1);
        lua_setfield(L, -2, calls_bindings[i]);
    }
}

/* The functions of the binding that are not wrapped, such as pg.bytes. [.., modules, wrapped] */
static void calls_copy_rest(lua_State *L, const char *name) {
    int wrapped = lua_gettop(L);
    lua_getfield(L, wrapped - 1, name);
    protect_push_original(L, wrapped + 1);
    if (lua_isnil(L, -1)) { /* a double */
        lua_pop(L, 1);
    }
    int binding = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, binding);) {
        lua_pushvalue(L, -2);
        lua_rawget(L, wrapped);
        bool has = !lua_isnil(L, -1);
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2); /* [.., key, key, value] */
        if (has) {
            lua_pop(L, 2);
        } else {
            lua_rawset(L, wrapped);
        }
    }
    lua_settop(L, wrapped);
}

/* Puts the wrapped bindings in the place of those. [.., wrapped] */
static void calls_replace_bindings(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
    for (size_t i = 0; i < BINDING_COUNT; i++) {
        lua_getfield(L, -2, calls_bindings[i]);
        calls_copy_rest(L, calls_bindings[i]);
        sandbox_seal_binding(L, calls_bindings[i]);
        lua_setfield(L, -2, calls_bindings[i]);
    }
    lua_pop(L, 1);
}

/* Runs inside a protected call. [calls] */
static int calls_run(lua_State *L) {
    const struct calls *calls = lua_touserdata(L, 1);
    if (luaL_loadbuffer(L, (const char *)calls_lua, sizeof calls_lua - 1, "=" LUA_HOST_CHUNK)) {
        return lua_error(L);
    }
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF); /* it has no guards */
    lua_pushcfunction(L, luaopen_agg_json);
    lua_call(L, 0, 1);
    lua_pushcfunction(L, calls_lua_now_us);
    calls_push_bindings(L);
    lua_pushboolean(L, calls->keeps_records);
    lua_call(L, 4, 2); /* [calls, wrapped, report] */
    lua_setfield(L, LUA_REGISTRYINDEX, REPORT);
    calls_replace_bindings(L);
    return 0;
}

bool calls_open(const struct calls *calls, struct script_instance *instance, struct err *err) {
    return script_guard(instance, calls_run, (void *)calls, err);
}

struct calls_reading {
    bool as_json;
    struct buffer *out, *unavailable;
};

/* Runs inside a protected call. [reading] */
static int calls_read(lua_State *L) {
    const struct calls_reading *reading = lua_touserdata(L, 1);
    size_t len;
    lua_getfield(L, LUA_REGISTRYINDEX, REPORT);
    lua_pushboolean(L, reading->as_json);
    lua_call(L, 1, 2);
    const char *text = lua_tolstring(L, -2, &len);
    buffer_append(reading->out, text, len);
    if (lua_isstring(L, -1)) {
        buffer_append_text(reading->unavailable, lua_tostring(L, -1));
    }
    return 0;
}

void calls_report(struct script_instance *instance, bool as_json, struct buffer *out,
                  struct buffer *unavailable) {
    struct calls_reading reading = {as_json, out, unavailable};
    struct err err = {0};
    if (!script_guard(instance, calls_read, &reading, &err) && !as_json) {
        buffer_append_format(out, "    not known: %s\n", err.text);
    }
}

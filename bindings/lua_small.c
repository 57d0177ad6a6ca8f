/* The small bindings: log, clock, and the marks of json that need no codec. */
#include <lauxlib.h>

#include "../host/clock.h"
#include "../host/log.h"
#include "lua_modules.h"

#define MAX_FIELDS 16

/* log.LEVEL(message, fields): fields maps names to strings or numbers; others are left out. */
static int write_line(lua_State *L, enum log_level level) {
    struct log_field fields[MAX_FIELDS];
    size_t count = 0;
    const char *message = luaL_checkstring(L, 1);
    if (lua_istable(L, 2)) {
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
            if (count == MAX_FIELDS || lua_type(L, -2) != LUA_TSTRING) {
                continue;
            }
            const char *key = lua_tostring(L, -2);
            if (lua_type(L, -1) == LUA_TNUMBER) {
                fields[count++] = LOG_INT(key, (int64_t)lua_tonumber(L, -1));
            } else if (lua_type(L, -1) == LUA_TSTRING) {
                fields[count++] = LOG_TEXT(key, lua_tostring(L, -1));
            }
        }
    }
    log_write(level, message, fields, count);
    return 0;
}

static int lua_log_debug(lua_State *L) {
    return write_line(L, LOG_DEBUG);
}
static int lua_log_info(lua_State *L) {
    return write_line(L, LOG_INFO);
}
static int lua_log_warning(lua_State *L) {
    return write_line(L, LOG_WARNING);
}
static int lua_log_error(lua_State *L) {
    return write_line(L, LOG_ERROR);
}

int luaopen_agg_log(lua_State *L) {
    static const luaL_Reg functions[] = {{"debug", lua_log_debug},
                                         {"info", lua_log_info},
                                         {"warning", lua_log_warning},
                                         {"error", lua_log_error},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

/* clock.monotonic(): seconds, for durations; clock.wall(): Unix seconds, for logs only. */
static int lua_monotonic(lua_State *L) {
    lua_pushnumber(L, (double)clock_monotonic_us() / 1e6);
    return 1;
}
static int lua_wall(lua_State *L) {
    lua_pushnumber(L, (double)clock_wall_us() / 1e6);
    return 1;
}

int luaopen_agg_clock(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"monotonic", lua_monotonic}, {"wall", lua_wall}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

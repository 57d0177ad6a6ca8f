/* clock for scripts. Times in rows and responses must come from events: an event whose handler
 * reads a clock cannot be derived again. */
#include <lauxlib.h>

#include "base/clock.h"
#include "lua_host.h"

/* clock.monotonic() -> seconds since an arbitrary moment, for durations */
static int lua_clock_monotonic(lua_State *L) {
    lua_host_note_chance(L, "clock");
    lua_pushnumber(L, (double)clock_monotonic_us() / 1e6);
    return 1;
}

/* clock.wall() -> seconds since 1970, for logs */
static int lua_clock_wall(lua_State *L) {
    lua_host_note_chance(L, "clock");
    lua_pushnumber(L, (double)clock_wall_us() / 1e6);
    return 1;
}

int luaopen_agg_clock(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"monotonic", lua_clock_monotonic}, {"wall", lua_clock_wall}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

/* clock for scripts. Times in rows and responses must come from events: an event whose handler
 * reads a clock cannot be derived again. */
#include <lauxlib.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "lua_host.h"
#include "lua_util.h"

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

/* clock.rfc3339(time_us) -> "2026-01-31T08:00:00.000000Z"; reads no clock */
static int lua_clock_rfc3339(lua_State *L) {
    char text[TIMESTAMP_TEXT_CAP];
    int64_t time_us;
    if (!lua_read_time(L, 1, &time_us)) {
        return lua_bad_argument(L, 1, "clock.rfc3339", "the time",
                                "whole microseconds since 1970, of the years 1 to 9999");
    }
    lua_pushlstring(L, text, timestamp_format(time_us, text));
    return 1;
}

int luaopen_agg_clock(lua_State *L) {
    static const luaL_Reg functions[] = {{"monotonic", lua_clock_monotonic},
                                         {"wall", lua_clock_wall},
                                         {"rfc3339", lua_clock_rfc3339},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

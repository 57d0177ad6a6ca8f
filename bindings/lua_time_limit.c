/* lua_time_limit: the time and the C stack that a call of a script may use. A count hook enforces
 * the time limit in interpreted code. It does not fire in compiled code: there the guards of
 * host/script/fuel.c count. After the deadline the hook fires at every instruction and each guard
 * raises, so that no pcall can swallow the error; the state is not used again. Calls can be nested
 * (a spec runs a handler): each level has its own limit, and time in an inner call does not count
 * for the outer. */
#include "lua_host.h"

#include "base/clock.h"

/* The hook's interval. One instruction can read a whole string or table (tonumber takes some ns a
 * byte): between two firings instructions read at most HOOK_BYTES, or one instruction runs. Only
 * large blocks count.
 * HOOK_INSTRUCTIONS is a prime: a script that nests pcall at the end of the Lua stack, where no
 * hook can run, could be there at every firing if its cycle divided the number. */
#define HOOK_INSTRUCTIONS 997
#define HOOK_BYTES (16UL * 1024 * 1024)
#define LARGE_BLOCK_BYTES (HOOK_BYTES / HOOK_INSTRUCTIONS)
/* With fewer bytes in large blocks the guards of compiled states suffice: all code between two of
 * them is a part of the script's text, without a loop. */
#define GUARDED_BYTES (1024UL * 1024)
/* The guards between two looks at the clock, while no block is large. One costs as much as some
 * hundred. */
#define FUEL_GUARDS 4999
#define MAX_STACK_BYTES (1024L * 1024)

static bool lua_time_limit_is_interrupted(const struct lua_host *host) {
    return host->interrupted && *host->interrupted;
}

/* Elsewhere LuaJIT raises the error of its allocator. */
static bool lua_time_limit_is_full(const struct lua_host *host) {
    return host->full && host->compiled;
}

/* Pushes the reason for ending the call. */
static const char *lua_time_limit_push_reason(lua_State *L, const struct lua_host *host) {
    const struct lua_limit *limit = &host->limit;
    if (lua_time_limit_is_interrupted(host)) {
        lua_pushliteral(L, "interrupted");
    } else if (lua_time_limit_is_full(host)) {
        lua_pushliteral(L, "not enough memory");
    } else {
        lua_pushfstring(L, "the script took too long: %d ms, its limit is %d ms",
                        (int)((clock_monotonic_us() - limit->started_us) / 1000),
                        (int)((limit->deadline_us - limit->started_us) / 1000));
        if (lua_limit_waited(host)) {
            lua_pushfstring(L, "%s; it waited %d ms for outside systems", lua_tostring(L, -1),
                            (int)(limit->waited_us / 1000));
        }
    }
    return lua_tostring(L, -1);
}

/* The call has to end. */
static bool lua_time_limit_is_late(const struct lua_host *host) {
    const struct lua_limit *limit = &host->limit;
    return limit->hit || lua_time_limit_is_full(host) || lua_time_limit_is_interrupted(host) ||
           (limit->deadline_us && clock_monotonic_us() >= limit->deadline_us);
}

/* The next guard reads the clock. A compiled loop that runs has its own copy of the count: it goes
 * on counting. */
static void lua_time_limit_empty_fuel(lua_State *L, const struct lua_host *host) {
    if (host->compiled && lua_checkstack(L, 2)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, host->fuel_ref);
        lua_pushinteger(L, 0);
        lua_setupvalue(L, -2, 1);
        lua_pop(L, 1);
    }
}

static void lua_time_limit_on_hook(lua_State *L, lua_Debug *where);

/* From now on the hook fires at every instruction and raises. */
static void lua_time_limit_raise_always(lua_State *L, struct lua_host *host) {
    host->limit.hit = host->limit.hit || !lua_time_limit_is_full(host);
    host->healthy = false;
    lua_time_limit_empty_fuel(L, host);
    lua_sethook(L, lua_time_limit_on_hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void lua_time_limit_on_hook(lua_State *L, lua_Debug *where) {
    struct lua_host *host = lua_host_of(L);
    if (where->event == LUA_HOOKLINE && host->on_line) {
        host->on_line(L, where);
    }
    bool counts_only = where->event == LUA_HOOKLINE && !host->limit.hit && !host->full;
    if (counts_only || !lua_time_limit_is_late(host)) {
        if (lua_gethookcount(L) < HOOK_INSTRUCTIONS) {
            lua_time_limit_empty_fuel(L, host);
        }
        return;
    }
    lua_getinfo(L, "Sl", where);
    if (strcmp(where->short_src, LUA_HOST_CHUNK) == 0) { /* at the next line of the script */
        lua_sethook(L, lua_time_limit_on_hook, LUA_MASKCOUNT, 1);
        return;
    }
    lua_time_limit_raise_always(L, host);
    lua_pushfstring(L, "%s:%d: %s", where->short_src, where->currentline,
                    lua_time_limit_push_reason(L, host));
    lua_error(L); /* luaL_error would add the place of the caller */
}

/* At most so many that together read no more than HOOK_BYTES; at least one. */
static int lua_time_limit_steps(const struct lua_host *host, int most) {
    size_t fitting = HOOK_BYTES / (host->large_bytes + 1);
    return fitting >= (size_t)most ? most : fitting > 0 ? (int)fitting : 1;
}

static int lua_time_limit_hook_instructions(const struct lua_host *host) {
    return lua_time_limit_steps(host, HOOK_INSTRUCTIONS);
}

int lua_host_refuel(lua_State *L) {
    lua_Debug where;
    struct lua_host *host = lua_host_of(L);
    if (!lua_time_limit_is_late(host)) {
        lua_pushinteger(L, lua_time_limit_steps(host, FUEL_GUARDS));
        return 1;
    }
    lua_time_limit_raise_always(L, host);
    if (!lua_getstack(L, 2, &where)) { /* 0: this function, 1: the guard */
        return luaL_error(L, "%s", lua_time_limit_push_reason(L, host));
    }
    lua_getinfo(L, "Sl", &where);
    lua_pushfstring(L, "%s:%d: %s", where.short_src, where.currentline,
                    lua_time_limit_push_reason(L, host));
    return lua_error(L); /* luaL_error would name the guard */
}

/* 0: none is needed, since guards count. A hook that fires ends the recording of a trace: a script
 * whose handler is long would hardly ever be compiled. */
static int lua_time_limit_hook_interval(const struct lua_host *host) {
    bool guarded = host->compiled && !host->has_unguarded && host->large_bytes < GUARDED_BYTES;
    return guarded ? 0 : lua_time_limit_hook_instructions(host);
}

/* Setting a hook costs as much as a short call: it stays set between calls, without a limit. */
static void lua_time_limit_arm(struct lua_host *host) {
    lua_State *L = host->L;
    int interval = lua_time_limit_hook_interval(host);
    int mask = (host->on_line ? LUA_MASKLINE : 0) | (interval ? LUA_MASKCOUNT : 0);
    if (host->limit.hit || lua_time_limit_is_full(host)) {
        lua_sethook(L, lua_time_limit_on_hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
    } else if (lua_gethookmask(L) != mask || lua_gethookcount(L) != interval) {
        lua_sethook(L, lua_time_limit_on_hook, mask, interval);
    }
}

struct lua_limit lua_limit_begin(struct lua_host *host, int timeout_ms) {
    struct lua_limit outer = host->limit;
    int64_t now_us = clock_monotonic_us();
    host->limit = (struct lua_limit){now_us, now_us + timeout_ms * 1000LL, false, 0, 0};
    lua_time_limit_arm(host);
    return outer;
}

void lua_limit_renew(struct lua_host *host, int timeout_ms) {
    struct lua_limit *limit = &host->limit;
    int64_t now_us = clock_monotonic_us();
    limit->earlier_us += now_us - limit->started_us;
    limit->started_us = now_us;
    limit->waited_us = 0;
    limit->deadline_us = now_us + timeout_ms * 1000LL;
}

bool lua_limit_waited(const struct lua_host *host) {
    return host->limit.waited_us > (clock_monotonic_us() - host->limit.started_us) / 2;
}

bool lua_limit_end(struct lua_host *host, struct lua_limit outer) {
    bool hit = host->limit.hit;
    if (outer.deadline_us) {
        outer.deadline_us += clock_monotonic_us() - host->limit.started_us + host->limit.earlier_us;
    }
    host->limit = outer;
    lua_time_limit_arm(host);
    return hit;
}

static bool lua_time_limit_is_rare(const struct lua_host *host) {
    int set = lua_gethookcount(host->L), wanted = lua_time_limit_hook_interval(host);
    return wanted != 0 && (set == 0 || set > wanted);
}

/* A shorter interval applies at once, a longer one from the next call on. */
void lua_host_count_block(struct lua_host *host, size_t old_size, size_t new_size) {
    host->large_bytes -= old_size >= LARGE_BLOCK_BYTES ? old_size : 0;
    host->large_bytes += new_size >= LARGE_BLOCK_BYTES ? new_size : 0;
    if (new_size >= LARGE_BLOCK_BYTES && host->limit.deadline_us && !host->limit.hit &&
        lua_time_limit_is_rare(host)) {
        lua_time_limit_arm(host);
    }
}

void lua_host_check_time(lua_State *L) {
    struct lua_host *host = lua_host_of(L);
    if (lua_time_limit_is_late(host)) {
        lua_time_limit_raise_always(L, host);
        luaL_error(L, "%s", lua_time_limit_push_reason(L, host));
    }
}

void lua_host_check_stack(lua_State *L) {
    char here;
    ptrdiff_t used = lua_host_of(L)->stack_base - &here; /* it grows downwards */
    if (used > MAX_STACK_BYTES) {
        luaL_error(L, "stack overflow (calls nested too deep)");
    }
}

void lua_host_hurry(struct lua_host *host) {
    if (host->L && lua_time_limit_is_late(host) && !host->limit.hit) {
        lua_sethook(host->L, lua_time_limit_on_hook, LUA_MASKCOUNT, 1);
    }
}

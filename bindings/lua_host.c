#include "lua_host.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct lua_host *lua_host_of(lua_State *L) {
    void *host;
    lua_getallocf(L, &host);
    return host;
}

int lua_host_remaining_ms(lua_State *L, const char *call) {
    const struct lua_host *host = lua_host_of(L);
    if (host->loading) {
        luaL_error(L,
                   "%s: scripts are loading, and must not use outside systems before a "
                   "handler or route is called",
                   call);
    }
    return clock_remaining_ms(host->limit.deadline_us);
}

/* ---- outside systems ------------------------------------------------------------------------ */

void lua_host_note_chance(lua_State *L, const char *binding) {
    struct lua_host *host = lua_host_of(L);
    if (host->muted && !host->rests_on) {
        host->rests_on = binding;
    }
}

bool lua_host_may_ask(lua_State *L, const char *binding, struct err *err) {
    const struct lua_host *host = lua_host_of(L);
    const char *muted = host->muted;
    if (host->asks && strcmp(host->asks, binding) == 0) {
        return true;
    }
    lua_host_note_chance(L, binding);
    return !muted || err_set(err, ERR_UNAVAILABLE, "unavailable: %s", muted);
}

void lua_host_check_may_produce(lua_State *L, const char *call) {
    const struct lua_host *host = lua_host_of(L);
    const char *why = host->may_not_produce ? host->may_not_produce : host->muted;
    if (why) {
        luaL_error(L, "%s: %s", call, why);
    }
}

void lua_host_note_wait(struct lua_host *host, int64_t since_us) {
    host->limit.waited_us += clock_monotonic_us() - since_us;
}

void lua_host_note_failure(lua_State *L, const struct err *err) {
    struct lua_host *host = lua_host_of(L);
    if (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT) {
        snprintf(host->failure, sizeof host->failure, "%.255s", err->text);
    }
}

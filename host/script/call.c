/* call: the one protected call. A count hook ends what runs too long; it reaches every script
 * because the compiler is off in script states (a hook does not fire in compiled code). The first
 * firing arms a hook for every line, so that a loop of pcall cannot swallow the error; a state that
 * hit a limit is not used again. */
#include "../clock.h"
#include "script_private.h"

/* One instruction may be the comparison of two long strings: a thousand of them take well under a
 * second, and looking at the clock that often costs nothing to speak of. */
#define HOOK_INSTRUCTIONS 1000
#define MAX_STACK_BYTES (1024L * 1024)

static bool is_late(const struct script_instance *instance) {
    return instance->timed_out || clock_monotonic_us() >= instance->deadline_us;
}

static void on_hook(lua_State *L, lua_Debug *where);

/* Raises from now on at every line. */
static void give_up(lua_State *L, struct script_instance *instance) {
    instance->timed_out = true;
    instance->healthy = false;
    lua_sethook(L, on_hook, LUA_MASKLINE, 0);
}

static void on_hook(lua_State *L, lua_Debug *where) {
    struct script_instance *instance = sandbox_instance(L);
    if (!is_late(instance)) {
        return;
    }
    give_up(L, instance);
    lua_getinfo(L, "Sl", where);
    luaL_error(L, "%s:%d: the script took too long", where->short_src, where->currentline);
}

void script_check_time(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    if (is_late(instance)) {
        give_up(L, instance);
        luaL_error(L, "the script took too long");
    }
}

void script_check_stack(lua_State *L) {
    char here;
    ptrdiff_t used = sandbox_instance(L)->stack_base - &here; /* it grows downwards */
    if (used > MAX_STACK_BYTES) {
        luaL_error(L, "stack overflow (calls nested too deep)");
    }
}

void script_hurry(struct script_instance *instance) {
    if (instance->L && is_late(instance) && !instance->timed_out) {
        lua_sethook(instance->L, on_hook, LUA_MASKCOUNT, 1);
    }
}

/* Strings get a traceback; other error values are described. */
static int on_error(lua_State *L) {
    if (lua_isstring(L, 1)) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    } else {
        lua_pushfstring(L, "an error that is a %s value", luaL_typename(L, 1));
    }
    return 1;
}

enum script_result script_call(struct script_instance *instance, int arguments, int results,
                               int timeout_ms, struct err *err) {
    lua_State *L = instance->L;
    char here;
    int base = lua_gettop(L) - arguments;
    /* cppcheck-suppress autoVariables -- only its address is wanted, while the call lasts */
    instance->stack_base = &here;
    lua_pushcfunction(L, on_error);
    lua_insert(L, base);
    instance->timed_out = false;
    instance->deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    lua_sethook(L, on_hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    int status = lua_pcall(L, arguments, results, base);
    lua_sethook(L, NULL, 0, 0);
    lua_remove(L, base);
    if (status == 0 && !instance->timed_out) {
        return SCRIPT_OK;
    }
    if (status == 0) {
        lua_pop(L, results);
        lua_pushliteral(L, "the script took too long and hid it");
    }
    const char *text = lua_tostring(L, -1);
    err_set(err, ERR_INPUT, "%s", text ? text : "an error without a message");
    lua_pop(L, 1);
    if (status == LUA_ERRMEM || status == LUA_ERRERR) {
        /* The state is still full (the error handler met that, too, in the second case): give back
         * what can be, then retire it. */
        size_t limit = instance->memory_limit;
        instance->healthy = false;
        instance->memory_limit += 1024 * 1024;
        lua_gc(L, LUA_GCCOLLECT, 0);
        instance->memory_limit = limit;
    }
    return instance->timed_out ? SCRIPT_TIMEOUT : SCRIPT_ERROR;
}

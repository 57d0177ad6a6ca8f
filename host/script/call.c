/* call: the time of a protected call (guard.c). A count hook ends what runs too long; it reaches
 * every script because the compiler is off in script states (a hook does not fire in compiled
 * code). The first firing arms a hook for every instruction, so that no pcall can swallow the
 * error; a state that hit a limit is not used again. Calls may be nested (a spec runs a handler):
 * each level has its own time, and what an inner call takes is not counted against the outer one.
 * What no hook can end is the watchdog's (watchdog.h). */
#include "../base/clock.h"
#include "../spec/coverage.h"
#include "script_private.h"

/* How often the clock is looked at. One instruction may read a whole string or table (a text made a
 * number takes some ns a byte): the instructions between two looks read no more than HOOK_BYTES, or
 * are one. Blocks that are not large count as nothing. */
/* A prime: a script that nests pcall at the end of the Lua stack, where no hook has room to run,
 * would be there at every look if its cycle divided the number. */
#define HOOK_INSTRUCTIONS 997
#define HOOK_BYTES (16UL * 1024 * 1024)
#define LARGE_BLOCK_BYTES (HOOK_BYTES / HOOK_INSTRUCTIONS)
#define MAX_STACK_BYTES (1024L * 1024)

static bool is_interrupted(const struct script_instance *instance) {
    return instance->interrupted && *instance->interrupted;
}

/* Pushes why the call ends. */
static const char *push_reason(lua_State *L, const struct script_instance *instance) {
    const struct script_limit *limit = &instance->limit;
    if (is_interrupted(instance)) {
        lua_pushliteral(L, "interrupted");
    } else {
        lua_pushfstring(L, "the script took too long: %d ms, its limit is %d ms",
                        (int)((clock_monotonic_us() - limit->started_us) / 1000),
                        (int)((limit->deadline_us - limit->started_us) / 1000));
    }
    return lua_tostring(L, -1);
}

static bool is_late(const struct script_instance *instance) {
    const struct script_limit *limit = &instance->limit;
    return limit->hit || is_interrupted(instance) ||
           (limit->deadline_us && clock_monotonic_us() >= limit->deadline_us);
}

static void on_hook(lua_State *L, lua_Debug *where);

/* Raises from now on at every instruction. */
static void give_up(lua_State *L, struct script_instance *instance) {
    instance->limit.hit = true;
    instance->healthy = false;
    lua_sethook(L, on_hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void on_hook(lua_State *L, lua_Debug *where) {
    struct script_instance *instance = sandbox_instance(L);
    if (where->event == LUA_HOOKLINE && instance->coverage) {
        coverage_count(instance->coverage, L, where);
    }
    bool counts_only = where->event == LUA_HOOKLINE && !instance->limit.hit;
    if (counts_only || !is_late(instance)) {
        return;
    }
    give_up(L, instance);
    lua_getinfo(L, "Sl", where);
    luaL_error(L, "%s:%d: %s", where->short_src, where->currentline, push_reason(L, instance));
}

static int hook_instructions(const struct script_instance *instance) {
    size_t fitting = HOOK_BYTES / (instance->large_bytes + 1);
    return fitting >= HOOK_INSTRUCTIONS ? HOOK_INSTRUCTIONS : fitting > 0 ? (int)fitting : 1;
}

/* To set a hook costs as much as a short call, so the one that counts is left in place between
 * calls, when it finds no limit. */
static void arm(struct script_instance *instance) {
    lua_State *L = instance->L;
    int lines = instance->coverage ? LUA_MASKLINE : 0;
    if (instance->limit.hit) {
        lua_sethook(L, on_hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
    } else if (lua_gethookmask(L) != (LUA_MASKCOUNT | lines) ||
               lua_gethookcount(L) != hook_instructions(instance)) {
        lua_sethook(L, on_hook, LUA_MASKCOUNT | lines, hook_instructions(instance));
    }
}

struct script_limit script_limit_begin(struct script_instance *instance, int timeout_ms) {
    struct script_limit outer = instance->limit;
    int64_t now_us = clock_monotonic_us();
    instance->limit = (struct script_limit){now_us, now_us + timeout_ms * 1000LL, false};
    watched_set(&instance->watched, now_us, instance->limit.deadline_us);
    arm(instance);
    return outer;
}

bool script_limit_end(struct script_instance *instance, struct script_limit outer) {
    bool hit = instance->limit.hit;
    if (outer.deadline_us) {
        outer.deadline_us += clock_monotonic_us() - instance->limit.started_us;
    }
    instance->limit = outer;
    watched_set(&instance->watched, outer.started_us, outer.deadline_us);
    arm(instance);
    return hit;
}

/* Fewer large blocks matter from the next call on. */
void script_count_block(struct script_instance *instance, size_t old_size, size_t new_size) {
    instance->large_bytes -= old_size >= LARGE_BLOCK_BYTES ? old_size : 0;
    instance->large_bytes += new_size >= LARGE_BLOCK_BYTES ? new_size : 0;
    if (new_size >= LARGE_BLOCK_BYTES && instance->limit.deadline_us && !instance->limit.hit &&
        lua_gethookcount(instance->L) > hook_instructions(instance)) {
        arm(instance);
    }
}

void script_check_time(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    if (is_late(instance)) {
        give_up(L, instance);
        luaL_error(L, "%s", push_reason(L, instance));
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
    if (instance->L && is_late(instance) && !instance->limit.hit) {
        lua_sethook(instance->L, on_hook, LUA_MASKCOUNT, 1);
    }
}

const char *script_muted(lua_State *L) {
    return sandbox_instance(L)->muted;
}

void script_note_question(lua_State *L, const char *binding) {
    struct script_instance *instance = sandbox_instance(L);
    if (instance->muted && !instance->rests_on) {
        instance->rests_on = binding;
    }
}

int script_remaining_ms(lua_State *L) {
    const struct script_instance *instance = sandbox_instance(L);
    return instance->loading ? -1 : clock_remaining_ms(instance->limit.deadline_us);
}

/* guard: the only entry into a Lua state. Any access may raise (a metamethod, a conversion, an
 * allocation at the memory cap), an error outside of a protected call ends the process, and a
 * metamethod may loop. So every access runs in here, protected and with a time limit. */
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "direct.h"

#define HOST_TIMEOUT_MS 5000 /* for the host's own work: loading, reading */
#define HEADROOM_BYTES (1024UL * 1024)
#define MIB (1024UL * 1024)

/* Length without the trailing lines that name no script: C callers, and the title if no line is
 * left. */
static size_t guard_cut_traceback(const char *text, size_t message_len, size_t len) {
    static const char c_line[] = "\n\t[C]", title[] = "\nstack traceback:";
    while (len > message_len) {
        const char *line = memrchr(text + message_len, '\n', len - message_len);
        if (!line || (strncmp(line, c_line, sizeof c_line - 1) != 0 &&
                      strncmp(line, title, sizeof title - 1) != 0)) {
            break;
        }
        len = (size_t)(line - text);
    }
    return len;
}

/* Replaces the text at the top. Lines of unnamed C functions ("[C]: at 0x12", "[builtin#19]: at
 * 0x12") end in an address, which no replay repeats. Calls that merge_sites.c renamed get their
 * name back. The first message_len bytes stay. */
static void guard_cut_addresses(lua_State *L, size_t message_len) {
    static const char before[] = "]: at 0x", renamed[] = "merge";
    size_t len, kept = message_len, longer = 0;
    const char *text = lua_tolstring(L, -1, &len);
    for (size_t i = message_len; i < len; i++) {
        longer += text[i] == *DIRECT_MERGE ? sizeof renamed - 1 : 0;
    }
    char *copy = lua_newuserdata(L, len + longer + 1);
    memcpy(copy, text, message_len);
    for (size_t i = message_len; i < len;) {
        if (strncmp(text + i, before, sizeof before - 1) == 0) {
            copy[kept++] = ']';
            i += sizeof before - 1;
            i += strspn(text + i, "0123456789abcdef");
        } else if (text[i] == *DIRECT_MERGE) {
            memcpy(copy + kept, renamed, sizeof renamed - 1);
            kept += sizeof renamed - 1;
            i++;
        } else {
            copy[kept++] = text[i++];
        }
    }
    lua_pushlstring(L, copy, kept);
}

/* The first level of a traceback from the error handler: not the guard of compiled code, which
 * raised, nor its C function. */
static int guard_first_level(lua_State *L) {
    lua_Debug where;
    bool is_guard = lua_getstack(L, 1, &where) && lua_getinfo(L, "f", &where) &&
                    lua_tocfunction(L, -1) == lua_host_refuel;
    lua_settop(L, 1);
    return is_guard ? 3 : 1;
}

/* luaL_traceback takes a C string: a NUL would end the error at index 1. */
static void guard_replace_nuls(lua_State *L) {
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    if (!memchr(text, '\0', len)) {
        return;
    }
    char *copy = lua_newuserdata(L, len);
    for (size_t i = 0; i < len; i++) {
        copy[i] = text[i] ? text[i] : '?';
    }
    lua_pushlstring(L, copy, len);
    lua_replace(L, 1);
    lua_pop(L, 1);
}

int script_on_error(lua_State *L) {
    int level = guard_first_level(L);
    outage_look(L);
    if (lua_isstring(L, 1)) {
        size_t len;
        guard_replace_nuls(L);
        luaL_traceback(L, L, lua_tostring(L, 1), level);
        const char *text = lua_tolstring(L, -1, &len);
        lua_pushlstring(L, text, guard_cut_traceback(text, lua_objlen(L, 1), len));
        guard_cut_addresses(L, lua_objlen(L, 1));
    } else {
        lua_pushfstring(L, "an error that is a %s value", luaL_typename(L, 1));
        luaL_traceback(L, L, lua_tostring(L, -1), level);
        guard_cut_addresses(L, 0);
    }
    return 1;
}

/* ---- the entry ----------------------------------------------------------------------------- */

struct guard_entry {
    lua_CFunction body;
    void *context;
};

/* The value at the top is a string after script_on_error, and Lua's own text for memory is one. */
static void guard_read_error(lua_State *L, struct err *err) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    err_set(err, ERR_INPUT, "%s", text ? text : "an error without a message");
}

int script_run_body(lua_State *L) {
    const struct guard_entry *entry = sandbox_instance(L)->entry;
    lua_pushlightuserdata(L, entry->context);
    return entry->body(L);
}

static int guard_collect(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

void script_collect_all(struct script_instance *instance) {
    size_t limit = instance->memory_limit;
    instance->host.healthy = false;
    instance->memory_limit += HEADROOM_BYTES;
    if (lua_cpcall(instance->host.L, guard_collect, NULL) != 0) {
        lua_pop(instance->host.L, 1); /* the rest is freed with the state */
    }
    instance->memory_limit = limit;
}

static int guard_collect_step(lua_State *L) {
    lua_gc(L, LUA_GCSTEP, 20);
    return 0;
}

void script_collect_step(struct script_instance *instance) {
    if (instance && lua_cpcall(instance->host.L, guard_collect_step, NULL) != 0) {
        lua_pop(instance->host.L, 1);
        script_collect_all(instance);
    }
}

/* The state is still full, or the error handler hit the cap. */
static void guard_fail_for_memory(struct script_instance *instance, struct err *err) {
    err_set(err, ERR_INPUT, "not enough memory: %zu MiB are in use, the limit is %zu MiB",
            instance->memory_used / MIB, instance->memory_limit / MIB);
    script_collect_all(instance);
}

/* Without lua_cpcall, which makes a function of the state for each call: nothing before lua_pcall
 * can raise, since it neither allocates nor needs more of the stack than any C function has. */
static int guard_enter_state(struct script_instance *instance, struct err *err) {
    lua_State *L = instance->host.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->on_error_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->run_body_ref);
    int status = lua_pcall(L, 0, 0, lua_gettop(L) - 1);
    if (status != 0) {
        guard_read_error(L, err);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return status;
}

struct lua_limit script_limit_begin(struct script_instance *instance, int timeout_ms) {
    struct lua_limit outer = lua_limit_begin(&instance->host, timeout_ms);
    watched_set(&instance->watched, instance->host.limit.started_us,
                instance->host.limit.deadline_us);
    return outer;
}

void script_limit_suspend(struct script_instance *instance) {
    watched_set(&instance->watched, 0, 0);
}

void script_limit_renew(struct script_instance *instance, int timeout_ms) {
    lua_limit_renew(&instance->host, timeout_ms);
    watched_set(&instance->watched, instance->host.limit.started_us,
                instance->host.limit.deadline_us);
}

bool script_limit_end(struct script_instance *instance, struct lua_limit outer) {
    bool hit = lua_limit_end(&instance->host, outer);
    watched_set(&instance->watched, outer.started_us, outer.deadline_us);
    return hit;
}

enum script_result script_call(struct script_instance *instance, lua_CFunction body, void *context,
                               int timeout_ms, struct err *err) {
    char here;
    struct guard_entry entry = {body, context};
    const struct guard_entry *outer_entry = instance->entry;
    const char *outer_base = instance->host.stack_base;
    bool outer_full = instance->host.full;
    instance->host.full = false;
    /* cppcheck-suppress autoVariables -- only its address is wanted, while the call lasts */
    instance->host.stack_base = &here;
    /* cppcheck-suppress autoVariables -- while the call lasts */
    instance->entry = &entry;
    struct lua_limit outer = script_limit_begin(instance, timeout_ms);
    int64_t started_us = instance->host.limit.started_us;
    int status = guard_enter_state(instance, err);
    bool waited = lua_limit_waited(&instance->host);
    bool timed_out = script_limit_end(instance, outer);
    instance->called_us = started_us;
    instance->entry = outer_entry;
    instance->host.stack_base = outer_base;
    bool full = instance->host.full;
    instance->host.full = outer_full;
    if (full || status == LUA_ERRMEM) {
        guard_fail_for_memory(instance, err);
    } else if (status == LUA_ERRERR) {
        err_set(err, ERR_INPUT, SCRIPT_STACK_OVERFLOW);
    } else if (status == 0 && timed_out) {
        err_set(err, ERR_INPUT, "the script timed out and caught the error: its limit is %d ms",
                timeout_ms);
    }
    compiler_note(instance, started_us);
    if (timed_out && waited && !full) {
        err->kind = ERR_TIMEOUT;
        return SCRIPT_OUTAGE;
    }
    if (timed_out) {
        return SCRIPT_TIMEOUT;
    }
    return status == 0 && !full ? SCRIPT_OK : SCRIPT_ERROR;
}

bool script_guard(struct script_instance *instance, lua_CFunction body, void *context,
                  struct err *err) {
    return script_call(instance, body, context, HOST_TIMEOUT_MS, err) == SCRIPT_OK;
}

/* ---- panic --------------------------------------------------------------------------------- */

int script_panic(lua_State *L) {
    const struct script_instance *instance = sandbox_instance(L);
    const char *script = atomic_load_explicit(&instance->watched.script, memory_order_relaxed);
    log_error("a Lua error outside of a protected call ended the process: report this bug",
              LOG_TEXT("script", script),
              LOG_TEXT("error", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text"));
    _exit(EX_SOFTWARE); /* no orderly exit: this thread holds the state that raised */
}

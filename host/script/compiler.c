#include "compiler.h"

#include <luajit.h>
#include <lualib.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json_put.h"
#include "base/log.h"
#include "script_private.h"
#include "survey.h"

#define CODE_OF "aggregator.code_of" /* registry key of jit.util.tracemc */
#define INTERVAL_US 10000000
#define MAX_TRACES 1000       /* as in compiler_options */
#define VERSION_ROLLING 20199 /* jit.version_num of LuaJIT's releases since August 2023 */
#define STACK_SLOTS 7900      /* lua_checkstack allows 8000 */
#define KEPT_SLOTS                                                                                 \
    2048 /* the garbage collector halves a stack whose used part is below a quarter */

/* docs/SANDBOX.md names the fault behind each, and LuaJIT's commit that corrects it. A process has
 * dozens of states: each keeps at most 512 KiB of code, of which the system gives what is used. */
static const char *const compiler_options[] = {
    "-sink",             /* tables made where a trace is left: wrong numbers */
    "recunroll=1000000", /* no trace that calls itself or returns below its frame */
    "minstitch=1000000", /* no trace that continues behind a C function */
    "sizemcode=512",     /* one area: code that fills it may overrun its end */
    "maxmcode=512",
    "maxtrace=1000",
    "maxrecord=4000",
    "maxirconst=500"};
/* Before LuaJIT's rolling releases. */
static const char *const compiler_old_options[] = {
    "-loop",   /* values of another type, missing checks of bounds */
    "-fuse",   /* a load behind an insertion that moves the table */
    "-narrow", /* writes beyond its list for a sum of some 250 parts */
};

static bool allowed;

/* What LuaJIT does with the memory of its code. */
static void compiler_probe(void) {
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return;
    }
    allowed = mprotect(page, bytes, PROT_READ | PROT_EXEC) == 0 &&
              mprotect(page, bytes, PROT_READ | PROT_WRITE) == 0;
    munmap(page, bytes);
    if (!allowed) {
        log_warning("scripts run interpreted: the system refuses to make memory executable "
                    "(MemoryDenyWriteExecute= of the systemd unit, or SELinux); allow it, or set "
                    "scripts.compile = false");
    }
}

bool compiler_is_allowed(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compiler_probe);
    return allowed;
}

/* [.., jit] The library's options are a table of functions. */
static void compiler_set_options(lua_State *L, const char *const *options, size_t count) {
    lua_getfield(L, -1, "opt");
    lua_getfield(L, -1, "start");
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, options[i]);
    }
    lua_call(L, (int)count, 0);
    lua_pop(L, 1);
}

/* [.., jit] */
static bool compiler_is_old(lua_State *L) {
    lua_getfield(L, -1, "version_num");
    bool old = lua_tointeger(L, -1) < VERSION_ROLLING;
    lua_pop(L, 1);
    return old;
}

void compiler_restore(lua_State *L) {
    bool on = lua_host_of(L)->compiled;
    if (on) {
        lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
        lua_getfield(L, -1, LUA_JITLIBNAME);
        compiler_set_options(L, compiler_options,
                             sizeof compiler_options / sizeof *compiler_options);
        if (compiler_is_old(L)) {
            compiler_set_options(L, compiler_old_options,
                                 sizeof compiler_old_options / sizeof *compiler_old_options);
        }
        lua_pop(L, 2);
    }
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
}

/* jit.attach would report events as they happen, aborts too, but LuaJIT (up to September
 * 2023) may walk off the stack when it reports an abort after an error. */
static int compiler_count(lua_State *L) {
    struct compiler_figures *figures = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, CODE_OF);
    for (int i = 1; i <= MAX_TRACES; i++) {
        lua_pushvalue(L, -1);
        lua_pushinteger(L, i);
        lua_call(L, 1, 1);
        if (lua_isstring(L, -1)) {
            figures->traces++;
            figures->code_bytes += lua_objlen(L, -1);
        }
        lua_pop(L, 1);
    }
    return 0;
}

struct compiler_figures compiler_measure(struct script_instance *instance) {
    struct compiler_figures figures = {0};
    lua_State *L = instance->host.L;
    if (instance->host.compiled && lua_cpcall(L, compiler_count, &figures) != 0) {
        lua_pop(L, 1); /* out of memory: a part was counted */
    }
    return figures;
}

/* ---- the process' figures ------------------------------------------------------------------- */

static _Atomic int64_t states, traces, code_bytes;

static void compiler_add(struct compiler_figures figures, int64_t sign) {
    atomic_fetch_add_explicit(&traces, sign * figures.traces, memory_order_relaxed);
    atomic_fetch_add_explicit(&code_bytes, sign * (int64_t)figures.code_bytes,
                              memory_order_relaxed);
}

void compiler_note(struct script_instance *instance, int64_t now_us) {
    if (!instance->host.compiled || now_us - instance->figures_us < INTERVAL_US ||
        !instance->host.healthy) {
        return;
    }
    if (instance->figures_us == 0) {
        atomic_fetch_add_explicit(&states, 1, memory_order_relaxed);
    }
    instance->figures_us = now_us;
    compiler_add(instance->figures, -1);
    instance->figures = compiler_measure(instance);
    compiler_add(instance->figures, 1);
    survey_note(instance);
}

void compiler_forget(struct script_instance *instance) {
    if (instance->figures_us != 0) {
        atomic_fetch_sub_explicit(&states, 1, memory_order_relaxed);
        compiler_add(instance->figures, -1);
        survey_forget(instance);
        instance->figures_us = 0;
    }
}

void compiler_report(struct buffer *json) {
    buffer_append_text(json, "{");
    json_put_int(json, "states", atomic_load_explicit(&states, memory_order_relaxed));
    json_put_int(json, "traces", atomic_load_explicit(&traces, memory_order_relaxed));
    json_put_int(json, "code_bytes", atomic_load_explicit(&code_bytes, memory_order_relaxed));
    json_put_name(json, "given_up");
    survey_report(json);
    buffer_append_text(json, "}");
}

/* ---- a state -------------------------------------------------------------------------------- */

/* Keeps jit.util.tracemc, which returns the code of a trace. */
static void compiler_keep_code_of(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, "jit.util");
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "tracemc");
    lua_setfield(L, LUA_REGISTRYINDEX, CODE_OF);
    lua_pop(L, 2);
}

void compiler_open(lua_State *L) {
    lua_pushcfunction(L, luaopen_jit);
    lua_pushliteral(L, LUA_JITLIBNAME);
    lua_call(L, 1, 0);
    lua_pushnil(L);
    lua_setglobal(L, LUA_JITLIBNAME);
    compiler_keep_code_of(L);
    survey_open(L);
    compiler_restore(L);
}

static int compiler_enlarge_stack(lua_State *L) {
    luaL_checkstack(L, STACK_SLOTS, "for compiled code");
    return 0;
}

bool compiler_keep_stack(lua_State *L) {
    bool enlarged = lua_cpcall(L, compiler_enlarge_stack, NULL) == 0;
    if (enlarged) {
        lua_settop(L, KEPT_SLOTS);
    }
    return enlarged; /* else the error is at the top */
}

#include "lua_job.h"

#include <luajit.h>
#include <lualib.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define HOOK_INSTRUCTIONS 997
#define MIB (1024UL * 1024)

/* The context of the state's allocator. */
struct running {
    const struct lua_job *job;
    lua_Alloc heap;
    void *heap_context;
    size_t used_bytes;
    int64_t deadline_us;
    bool late;
};

static struct running *lua_job_running_of(lua_State *L) {
    void *running;
    (void)lua_getallocf(L, &running);
    return running;
}

static void *lua_job_allocate(void *context, void *memory, size_t old_size, size_t new_size) {
    struct running *running = context;
    if (new_size > old_size &&
        running->used_bytes + new_size - old_size > running->job->memory_bytes) {
        return NULL;
    }
    void *grown = running->heap(running->heap_context, memory, old_size, new_size);
    if (grown || new_size == 0) {
        running->used_bytes += new_size - old_size;
    }
    return grown;
}

/* The innermost line of a file: functions that LuaJIT has in Lua, such as table.move, have none. */
static void lua_job_find_line(lua_State *L, lua_Debug *where) {
    lua_Debug at;
    lua_getinfo(L, "Sl", where);
    for (int level = 1; where->currentline <= 0 && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0) {
            *where = at;
        }
    }
}

/* After the deadline it raises at every instruction, so that no pcall swallows the error. */
static void lua_job_on_count(lua_State *L, lua_Debug *where) {
    struct running *running = lua_job_running_of(L);
    if (clock_monotonic_us() < running->deadline_us) {
        return;
    }
    running->late = true;
    lua_sethook(L, lua_job_on_count, LUA_MASKCOUNT, 1);
    lua_job_find_line(L, where);
    lua_pushfstring(L, "%s:%d: timed out: the limit is %d ms", where->short_src, where->currentline,
                    running->job->timeout_ms);
    lua_error(L); /* luaL_error would add the place of the caller */
}

static int lua_job_on_panic(lua_State *L) {
    log_error("Lua raised an error outside a protected call: this is a bug; the process exits",
              LOG_TEXT("script", lua_job_running_of(L)->job->name),
              LOG_TEXT("error", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text"));
    _exit(EX_SOFTWARE);
}

/* Fills err from the Lua error at the top of the stack. */
static bool lua_job_fill_error(lua_State *L, const struct running *running, int status,
                               struct err *err) {
    if (status == LUA_ERRMEM) {
        return err_set(err, ERR_INPUT, "%s: not enough memory: the limit is %zu MiB",
                       running->job->name, running->job->memory_bytes / MIB);
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        return err_set(err, ERR_INPUT, "%s", lua_tostring(L, -1));
    }
    return err_set(err, ERR_INPUT, "%s: raised an error that is a %s value", running->job->name,
                   luaL_typename(L, -1));
}

void lua_job_open_libraries(lua_State *L) {
    luaL_openlibs(L);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
}

static bool lua_job_call(lua_State *L, struct running *running, struct err *err) {
    lua_atpanic(L, lua_job_on_panic);
    running->used_bytes =
        (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    running->heap = lua_getallocf(L, &running->heap_context);
    lua_setallocf(L, lua_job_allocate, running);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); /* no hook in compiled code */
    lua_sethook(L, lua_job_on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    int status = lua_cpcall(L, running->job->body, running->job->context);
    bool good = status == 0 || lua_job_fill_error(L, running, status, err);
    if (good && running->late) {
        good = err_set(err, ERR_INPUT, "%s: timed out inside a pcall: the limit is %d ms",
                       running->job->name, running->job->timeout_ms);
    }
    lua_setallocf(L, running->heap, running->heap_context);
    return good;
}

bool lua_job_run(const struct lua_job *job, struct err *err) {
    lua_State *L = luaL_newstate();
    if (!L) {
        return err_set(err, ERR_INTERNAL, "out of memory for a Lua state");
    }
    struct running running = {.job = job,
                              .deadline_us = clock_monotonic_us() + job->timeout_ms * 1000LL};
    bool good = lua_job_call(L, &running, err);
    lua_close(L);
    return good;
}

/* lua_job: runs one C function in a Lua state of its own with limits of time and memory. Every Lua
 * error becomes a struct err. */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

#include "err.h"

struct lua_job {
    const char *name;    /* for errors: "config.lua" */
    lua_CFunction body;  /* its one argument: the context as a light userdata */
    void *context;       /* must own all that the body allocates in C: the body may raise */
    int timeout_ms;      /* of Lua code; a C function is not interrupted */
    size_t memory_bytes; /* of the state */
};

/* luaL_openlibs without the compiler, which luaopen_jit turns on: no hook fires in compiled code,
 * and a process that may not make memory executable (MemoryDenyWriteExecute= of systemd.exec(5))
 * raises. */
void lua_job_open_libraries(lua_State *L);

/* False: err has the message with file and line. */
bool lua_job_run(const struct lua_job *job, struct err *err);

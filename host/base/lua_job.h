/* lua_job: a Lua state for one job, bounded in time and memory, closed after it. Any error inside,
 * one of reading a result too, becomes a struct err. */
#ifndef AGG_HOST_BASE_LUA_JOB_H
#define AGG_HOST_BASE_LUA_JOB_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

#include "err.h"

struct lua_job {
    const char *name;    /* for errors: "config.lua" */
    lua_CFunction body;  /* gets the context as its one argument, a light userdata */
    void *context;       /* also holds what only C would free, before anything can raise */
    int timeout_ms;      /* reaches Lua code, not a C function that takes long */
    size_t memory_bytes; /* of the state */
};

/* False: err has the message, with the line of the Lua text that raised it. */
bool lua_job_run(const struct lua_job *job, struct err *err);

#endif

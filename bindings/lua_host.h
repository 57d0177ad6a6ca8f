/* lua_host: the context of a Lua state for its bindings: time and stack limits of the call under
 * way, permission to use outside systems, connection settings. host/script fills and owns it. Used
 * by the state's thread only, except `interrupted`. */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka_settings.h"
#include "pg.h"

/* The name of chunks of the host's own Lua: no error names them. */
#define LUA_HOST_CHUNK "[host]"

struct metric_scope;
struct pg_read; /* pg_reads.h */

/* The time limit of one protected call. */
struct lua_limit {
    int64_t started_us;
    int64_t deadline_us; /* 0: no call */
    bool hit;
    int64_t earlier_us; /* the call's time before it was renewed */
    int64_t waited_us;  /* of the time since started_us: in waits for outside systems */
};

/* Settings of the bindings' clients; borrowed. */
struct lua_services {
    struct pg_options pg;
    const char *redis_url; /* "": none is configured */
    int redis_timeout_ms;
    struct kafka_settings kafka;
    const char *http_tls_ca;      /* as in http_client_request */
    int longest_call_ms;          /* the longest time limit of a handler or route */
    struct metric_scope *metrics; /* of the metrics that scripts declare */
    /* The text of a query by its name, or NULL; pushes the set of all names. */
    const char *(*query)(lua_State *L, const char *name);
    void (*push_queries)(lua_State *L);
};

struct lua_host {
    lua_State *L;
    struct lua_services services;
    struct lua_limit limit; /* of the innermost call under way */
    const char *stack_base; /* the C stack at its begin */
    size_t large_bytes;     /* in the state's large blocks: see lua_host_count_block */
    bool full;     /* the memory cap was hit in the call under way, even if the script caught it */
    bool compiled; /* LuaJIT's compiler is on: scripts have guards */
    int fuel_ref;  /* their guard in the registry, if `compiled` */
    bool has_unguarded;          /* some scripts of a compiled state have no guards */
    bool healthy;                /* false after a limit was hit: the state is retired */
    bool loading;                /* scripts are loading: no use of outside systems */
    const char *muted;           /* why outside systems must not be used; NULL: they may */
    const char *asks;            /* the one binding that a muted state may ask; NULL: none */
    const char *may_not_produce; /* why records must not be produced; NULL: they may */
    const char *rests_on;        /* the first binding that a muted call used; NULL: none */
    char failure[256];           /* the last failure by an outage, or ""; truncated */
    struct slice traceparent;    /* of the request; absent: none */
    struct pg_read *read;        /* of a route's call that may ask replicas; NULL: the primary */
    bool writes;                 /* a route's call that writes: later reads must see it */
    const volatile sig_atomic_t *interrupted;        /* set: ends the call; or NULL */
    void (*on_line)(lua_State *L, lua_Debug *where); /* called for each line; or NULL */
};

/* From the context of the state's allocator. */
struct lua_host *lua_host_of(lua_State *L);

/* ---- time and stack: lua_time_limit.c -------------------------------------------------------- */

/* A time limit around a lua_pcall. Begin returns the outer limit, to be passed to end after the
 * call; end returns whether the call timed out. */
struct lua_limit lua_limit_begin(struct lua_host *host, int timeout_ms);
bool lua_limit_end(struct lua_host *host, struct lua_limit outer);
/* Most of the time of the call under way was spent in waits for outside systems. */
bool lua_limit_waited(const struct lua_host *host);
/* Gives the call under way its whole time again. */
void lua_limit_renew(struct lua_host *host, int timeout_ms);

/* For long loops in C: raises after the deadline of the call. */
void lua_host_check_time(lua_State *L);
/* For functions that call back into Lua: raises if nested calls used up the C stack. */
void lua_host_check_stack(lua_State *L);
/* Called by the allocator: a block changed its size. The more bytes one instruction can read, the
 * more often the hook reads the clock. */
void lua_host_count_block(struct lua_host *host, size_t old_size, size_t new_size);
/* For the guard of scripts: raises after the deadline of the call, in the name of the line that
 * called the guard. Else returns the number of guards until the next call. */
int lua_host_refuel(lua_State *L);
/* lua_host_check_time at the next instruction, for callers that must not raise. */
void lua_host_hurry(struct lua_host *host);
/* The time left for the call under way, at least 0. Raises while scripts are loading. `call` names
 * the function. */
int lua_host_remaining_ms(lua_State *L, const char *call);

/* ---- outside systems ------------------------------------------------------------------------ */

/* False with ERR_UNAVAILABLE in a muted state. Notes that the event depends on this binding, a
 * constant text. */
bool lua_host_may_ask(lua_State *L, const char *binding, struct err *err);
/* Notes a dependency on a value that changes with time. */
void lua_host_note_chance(lua_State *L, const char *binding);
/* Raises, in the name of `call`, if scripts must not produce records. */
void lua_host_check_may_produce(lua_State *L, const char *call);
/* A binding has waited for its system since that moment of the monotonic clock. */
void lua_host_note_wait(struct lua_host *host, int64_t since_us);
/* Notes a failure that a binding returns to the script. */
void lua_host_note_failure(lua_State *L, const struct err *err);

/* lua_host: what bindings see of the Lua state they run in: the time and the stack of the call
 * under way, which outside systems may be touched, and the settings of the connections. host/script
 * fills and owns it. The state's thread alone uses it, but for `interrupted`. */
#ifndef AGG_BINDINGS_LUA_HOST_H
#define AGG_BINDINGS_LUA_HOST_H

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka_settings.h"
#include "pg.h"

struct metric_scope;

/* The time of one protected call. */
struct lua_limit {
    int64_t started_us;
    int64_t deadline_us; /* 0: no call is under way */
    bool hit;
};

/* The settings that bindings open their clients with; borrowed. */
struct lua_services {
    struct pg_options pg;
    const char *redis_url; /* "": none is configured */
    int redis_timeout_ms;
    struct kafka_settings kafka;
    int longest_call_ms;          /* that a handler or a route may take */
    struct metric_scope *metrics; /* where the metrics that scripts declare belong */
    /* The text of a query by its name, NULL: there is none; and the set of their names, pushed. */
    const char *(*query)(lua_State *L, const char *name);
    void (*push_queries)(lua_State *L);
};

struct lua_host {
    lua_State *L;
    struct lua_services services;
    struct lua_limit limit;      /* of the innermost call under way */
    const char *stack_base;      /* where the C stack was when it began */
    size_t large_bytes;          /* of the state's large blocks: see lua_host_count_block */
    bool healthy;                /* false once a limit was hit: the state is retired */
    bool loading;                /* a file runs for the first time: no outside system is touched */
    const char *muted;           /* why no outside system may be touched; NULL: they may */
    const char *may_not_produce; /* why a record may not be produced; NULL: it may */
    const char *rests_on;        /* the first binding that a muted call asked; NULL: none */
    char failure[256];           /* the last failure that was an outage, or ""; cut */
    struct slice traceparent;    /* of the request under way; absent: none */
    const volatile sig_atomic_t *interrupted;        /* set: the call under way ends; or NULL */
    void (*on_line)(lua_State *L, lua_Debug *where); /* for each line that runs; or NULL */
};

/* The state's allocator has it as its context. */
struct lua_host *lua_host_of(lua_State *L);

/* ---- time and stack ------------------------------------------------------------------------- */

/* The limit around a lua_pcall. Begin returns the outer limit, which goes to end after the call
 * returned; end says whether the time ran out. */
struct lua_limit lua_limit_begin(struct lua_host *host, int timeout_ms);
bool lua_limit_end(struct lua_host *host, struct lua_limit outer);

/* For functions that take long inside C: raises once the time of the call under way is over. */
void lua_host_check_time(lua_State *L);
/* For functions that call back into Lua: raises where such calls are nested so deep that the C
 * stack would end before Lua's does. */
void lua_host_check_stack(lua_State *L);
/* The allocator's: a block of old_size bytes has new_size now. The more bytes one instruction may
 * read, the more often the clock is looked at. */
void lua_host_count_block(struct lua_host *host, size_t old_size, size_t new_size);
/* lua_host_check_time at the next instruction, for where nothing can be raised. */
void lua_host_hurry(struct lua_host *host);
/* How long a binding may wait: what the call under way has left, at least 0. Raises while scripts
 * are being loaded. `call` names the function. */
int lua_host_remaining_ms(lua_State *L, const char *call);

/* ---- outside systems ------------------------------------------------------------------------ */

/* False with ERR_UNAVAILABLE in a muted state. Notes that the event rests on the answer of this
 * binding, a constant text. */
bool lua_host_may_ask(lua_State *L, const char *binding, struct err *err);
/* Notes the same of a value that is another one at another time. */
void lua_host_note_chance(lua_State *L, const char *binding);
/* Raises, in the name of `call`, where scripts may produce no record. */
void lua_host_check_may_produce(lua_State *L, const char *call);
/* Notes a failure that a binding hands to the script. */
void lua_host_note_failure(lua_State *L, const struct err *err);

#endif

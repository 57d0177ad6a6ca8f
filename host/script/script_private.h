/* What the files of script/ share. See script.h for what the rest of the program sees. */
#ifndef AGG_HOST_SCRIPT_SCRIPT_PRIVATE_H
#define AGG_HOST_SCRIPT_SCRIPT_PRIVATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "../buffer.h"
#include "../metrics.h"
#include "script.h"

/* One source file, read whole. Names have no ending: "handlers/x", "queries/y". */
struct bundle_file {
    char *name;
    char *path;
    char *text;
    size_t len;
};
struct bundle {
    struct bundle_file *files; /* sorted by name */
    size_t count;
    char hash[33];
};
bool bundle_read(struct bundle *bundle, const struct config *config, struct err *err);
void bundle_free(struct bundle *bundle);
const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name);

struct script_generation {
    _Atomic int refs;
    uint64_t number;
    struct bundle bundle;
    struct view *view;
    struct script_handler *handlers;
    size_t handler_count;
    struct script_route *routes;
    size_t route_count;
    struct manifest_memory *memory; /* every small allocation of the manifest */
};

/* Small allocations freed together with the manifest. */
struct manifest_memory {
    struct manifest_memory *next;
};
void *manifest_alloc(struct script_generation *generation, size_t bytes);
char *manifest_text(struct script_generation *generation, const char *text);

struct script_instance {
    lua_State *L;
    struct script_generation *generation;
    const struct config *config;
    size_t memory_used;
    size_t memory_limit;
    int64_t deadline_us; /* of the call under way */
    bool timed_out;
    bool loading; /* a file of the bundle runs for the first time: no outside system is touched */
    bool healthy;
    int *handler_refs; /* registry references of the `handle` functions */
    int *event_refs;   /* one reused event table a handler */
    int *route_refs;
    int view_ref;
    struct merge *merge; /* of the handler call under way */
    struct merge_version version;
    struct metric_cell **handler_seconds;
    struct metric_cell **route_seconds;
};

/* sandbox.c: the state with its libraries, `require`, limits. NULL: no memory. */
bool sandbox_open(struct script_instance *instance, struct err *err);
struct script_instance *sandbox_instance(lua_State *L);
/* Loads a file of the bundle and calls it once per state; the module is left on the stack. */
bool sandbox_load(struct script_instance *instance, const char *name, struct err *err);

/* call.c: the only protected call. Function and arguments are on the stack. */
enum script_result script_call(struct script_instance *instance, int arguments, int results,
                               int timeout_ms, struct err *err);
/* What the call under way in this state has left, at least 0; -1 while scripts are being loaded. */
int script_remaining_ms(lua_State *L);

/* manifest*.c: read the declarations of a state into the generation. */
bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err);
bool manifest_read_view(struct script_instance *instance, struct script_generation *generation,
                        struct err *err);
bool manifest_read_handler(struct script_instance *instance, struct script_generation *generation,
                           const char *name, struct err *err);
bool manifest_read_route(struct script_instance *instance, struct script_generation *generation,
                         const char *name, struct err *err);

/* view_object.c: the `view` that handlers merge into; leaves it on the stack. */
void view_object_push(struct script_instance *instance);
void event_fill(lua_State *L, const struct script_handler *handler,
                const struct extract_value *values);

#endif

/* What the files of script/ share. See script.h for what the rest of the program sees. */
#ifndef AGG_HOST_SCRIPT_SCRIPT_PRIVATE_H
#define AGG_HOST_SCRIPT_SCRIPT_PRIVATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "bindings/lua_host.h"
#include "script.h"
#include "watched.h"

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
    char hash[SCRIPT_HASH_LEN + 1];
};
/* Takes over the name and the text. The files are in order, and can be found, after bundle_finish.
 */
void bundle_append(struct bundle *bundle, const char *path, char *name, const struct buffer *text);
void bundle_finish(struct bundle *bundle);
/* Of files that were kept elsewhere; complete. */
void bundle_fill(struct bundle *bundle, const struct script_source *sources, size_t count);
/* One file, named by its path. */
bool bundle_read_file(struct bundle *bundle, const char *path, struct err *err);
void bundle_free(struct bundle *bundle);
/* False where one of them is NULL. */
bool bundle_file_equal(const struct bundle_file *a, const struct bundle_file *b);
const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name);

struct script_generation {
    _Atomic int refs;
    _Atomic uint64_t handled, rejected; /* see script_generation_count */
    uint64_t number;
    const struct config *config; /* a reference */
    struct bundle bundle;
    struct view *view;
    struct metric_scope *metrics;         /* what its scripts declare */
    const struct extract_field *envelope; /* the roles first */
    size_t envelope_count;                /* 0: not declared, or wrong */
    struct script_handler *handlers;
    size_t handler_count;
    struct script_route *routes;
    size_t route_count;
    struct script_reaction *reactions;
    size_t reaction_count;
    struct manifest_memory *memory; /* every small allocation of the manifest */
};

/* Small allocations freed together with the manifest. */
struct manifest_memory {
    struct manifest_memory *next;
};
void *manifest_alloc(struct script_generation *generation, size_t bytes);
char *manifest_text(struct script_generation *generation, const char *text);

struct coverage;

struct script_metrics { /* of one handler, route or reaction */
    struct metric_cell *seconds, *errors, *memory_bytes;
};

struct script_instance {
    struct lua_host host; /* the first: a state leads to it, and so to its instance */
    struct script_generation *generation;
    const struct config *config;
    const struct bundle *support; /* further modules for `require`, of a spec's state; or NULL */
    struct coverage *coverage;    /* counts lines, in a spec's state; or NULL */
    bool read_only;               /* pg changes nothing */
    size_t memory_used;
    lua_Alloc heap; /* LuaJIT's own, of this state */
    void *heap_context;
    size_t memory_limit;
    bool out_of_memory; /* the cap refused memory to the call under way, whatever hid the error */
    bool outage_passed_on; /* by the handler call under way: see outage.c */
    int *handler_refs;     /* registry references of the `handle` functions */
    int *event_refs;       /* one reused event table a handler */
    int *name_refs;        /* the list of its names */
    int *route_refs;
    int view_ref;
    int on_error_ref; /* script_on_error: made once, since each call needs it */
    int request_ref;  /* metatable of requests */
    int cached_request_ref;
    int *reaction_refs;       /* of the `publish` functions */
    int rows_ref;             /* of the query's rows that a reaction is called for */
    int *params_refs;         /* metatable of each route's path parameters */
    struct merge *merge;      /* of the handler call under way */
    const char *handler_name; /* likewise */
    struct merge_version version;
    const struct script_touch
        *touches;           /* of the last handler call of a muted state, in merge_arena */
    bool merged_too_much;   /* the event of this call: it is rejected */
    struct watched watched; /* while the state is open */
    struct script_metrics *handler_metrics;
    struct script_metrics *route_metrics;
    struct script_metrics *reaction_metrics;
};

/* instance.c: the `handle` functions, event tables and view of an open sandbox. */
bool instance_load(struct script_instance *instance, struct err *err);
/* A call has ended. */
void instance_count_call(const struct script_instance *instance,
                         const struct script_metrics *metrics, int64_t started_us, bool failed);
/* Puts the script's file in front of an error that does not name it. Always false. */
bool instance_name_script(const struct script_instance *instance, const char *name,
                          struct err *err);

/* sandbox.c: the state with its libraries, `require`, limits. False: no memory. */
bool sandbox_open(struct script_instance *instance, struct err *err);
/* Whatever became of sandbox_open. */
void sandbox_close(struct script_instance *instance);
struct script_instance *sandbox_instance(lua_State *L);
/* Raises where a script's text has a number such as 1LL. */
void sandbox_refuse_c_numbers(lua_State *L, const char *text, const char *path);
/* Loads a file of the bundle, which is called once per state; sandbox_push_module has what it
 * returned. */
bool sandbox_load(struct script_instance *instance, const char *name, struct err *err);
/* In a guarded body: pushes a module that is loaded. */
void sandbox_push_module(lua_State *L, const char *name);

/* names.c: pushes the sets of what there is: the names of sql/queries, and what `require` finds,
 * with dots. */
void names_push_queries(lua_State *L);
void names_push_modules(lua_State *L);

/* watchdog.c: the states whose calls it sees. A generation outlives its states. */
void watched_add(struct watched *watched, const struct script_generation *generation);
void watched_remove(struct watched *watched);

/* library.c: string.find, match, gmatch, gsub, rep and table.sort made anew, in the open libraries.
 */
void library_replace(lua_State *L);

/* order.c: pairs and next in an order that the keys decide. */
void order_replace(lua_State *L);

/* text.c: tostring and string.format without addresses. */
void text_replace(lua_State *L);

/* protect.c: read-only tables. */
void protect_open(lua_State *L);
/* Puts a proxy called `name` in errors in the place of the table at the top. */
void protect_table(lua_State *L, const char *name);
/* Pushes the table behind the proxy at the absolute index, nil if it is none. */
void protect_push_original(lua_State *L, int at);
int protect_rawset(lua_State *L); /* rawset, but for those tables */

/* guard.c: the only entry into a state. */
/* Runs body(L), whose one argument is the context as a light userdata, protected and in at most
 * timeout_ms. What the body finds out goes into the context, and is not to be used unless SCRIPT_OK
 * comes back; memory that only C would free must be in the context before anything can raise. Calls
 * may be nested. */
enum script_result script_call(struct script_instance *instance, lua_CFunction body, void *context,
                               int timeout_ms, struct err *err);
/* The same for what the host does with a state of its own accord: reading what scripts declared,
 * taking references. False: err has the message, with the line where a script raised it. */
bool script_guard(struct script_instance *instance, lua_CFunction body, void *context,
                  struct err *err);
/* For lua_atpanic: logs the state's script and the error, and ends the process. */
int script_panic(lua_State *L);
/* What handles its errors: a traceback is added; values that are no text are described. */
int script_on_error(lua_State *L);
/* lua_limit_begin and lua_limit_end, and the watchdog sees the call. */
struct lua_limit script_limit_begin(struct script_instance *instance, int timeout_ms);
bool script_limit_end(struct script_instance *instance, struct lua_limit outer);
/* After a call that met the memory cap the state is still full: gives back what can be. The state
 * is to be retired. */
void script_collect_all(struct script_instance *instance);

/* outage.c. A handler's call begins: */
void outage_begin(struct script_instance *instance);
/* In the error handler: whether the error at 1 passes an outage on; a failure there becomes its
 * message. */
void outage_look(lua_State *L);
/* Of the two values at the top that a handler returned: raises the second where the first is nil
 * and it is a failure, and pops it otherwise. */
void outage_raise_returned(lua_State *L);
/* SCRIPT_OUTAGE where a call that failed passed an outage on, with what is unavailable in err. */
enum script_result outage_result(const struct script_instance *instance, enum script_result result,
                                 struct err *err);

/* manifest.c: reads the declarations of a state into the generation. False: err has all that is
 * wrong, a line each. */
bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err);

/* view_object.c: the `view` that handlers merge into; leaves it on the stack. */
void view_object_push(struct script_instance *instance);

/* answer.c: reads what a route returned, at the top, into the response, whose memory is freed where
 * this raises. True: it is no answer but what is unavailable. */
bool answer_take(lua_State *L, struct script_response *response, struct err *outage);

/* event_names.c: what can be read of an event: its declared fields, and no other name. */
/* Pushes the table of a handler's events, which scripts see read-only. */
void event_push(struct script_instance *instance, const struct script_handler *handler);
/* Pushes the metatable of the items of a list of it. */
void event_push_item_names(lua_State *L, const struct extract_field *list);

/* view_object.c: the number at `at` is a time; otherwise raises "WHAT takes …". */
int64_t script_check_time_us(lua_State *L, int at, const char *what);

/* Pushes the list of its names, those that are not handed on too. */
void event_push_names(lua_State *L, const struct script_handler *handler);
/* Fills the table on the top; the list of its names is below it. */
void event_fill(lua_State *L, const struct script_handler *handler,
                const struct extract_value *values);

#endif

/* Shared by the files of script/. */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "base/uuid.h"
#include "bindings/lua_host.h"
#include "compiler.h"
#include "script.h"
#include "watched.h"

/* Describes what declarations of routes cannot know: answers, examples. */
#define BUNDLE_API "openapi.json"

/* One source file. Names have no ending: "handlers/x", "queries/y"; BUNDLE_API has its own. */
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
/* Takes ownership of name and text. bundle_finish sorts the files and hashes them. */
void bundle_append(struct bundle *bundle, const char *path, char *name, const struct buffer *text);
void bundle_finish(struct bundle *bundle);
/* Copies stored sources; the bundle is complete. */
void bundle_fill(struct bundle *bundle, const struct script_source *sources, size_t count);
/* Appends one file, named by its path. */
bool bundle_read_file(struct bundle *bundle, const char *path, struct err *err);
void bundle_free(struct bundle *bundle);
/* The file's name below queries/; NULL: not a query. */
const char *bundle_query_name(const struct bundle_file *file);
bool bundle_is_lua(const struct bundle_file *file);
/* False if one is NULL. */
bool bundle_file_equal(const struct bundle_file *a, const struct bundle_file *b);
const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name);

struct script_generation {
    _Atomic int refs;
    _Atomic uint64_t handled, rejected; /* see script_generation_count */
    uint64_t number;
    const struct config *config; /* a reference */
    struct bundle bundle;
    const struct script_states *states; /* of a dry run; NULL: as in production */
    struct view *view;
    struct metric_scope *metrics;         /* declared by its scripts */
    const struct extract_field *envelope; /* the roles first */
    size_t envelope_count;                /* 0: not declared, or wrong */
    struct script_handler *handlers;
    size_t handler_count;
    struct script_route *routes;
    size_t route_count;
    struct script_reaction *reactions;
    size_t reaction_count;
    struct manifest_memory *memory;
};

/* Index of the item of that name; -1: none. Each item begins with its name. */
int script_find_named(const void *items, size_t count, size_t size, const char *name);

/* Allocations that live as long as the generation. */
struct manifest_memory {
    struct manifest_memory *next;
};
void *manifest_alloc(struct script_generation *generation, size_t bytes);
char *manifest_text(struct script_generation *generation, const char *text);

struct coverage;

struct script_metrics {
    struct metric_cell *seconds, *errors, *memory_bytes;
};
/* A handler's event, for direct.lua. */
struct script_frame {
    struct extract_value *values; /* copies, always at this place; NULL: C fills the events */
    bool running;                 /* they are of the call under way */
};
/* A handler, route or reaction in one state: registry references, and metrics. */
struct script_callable {
    int function_ref;
    int event_ref, names_ref;  /* handler: the reused event table, and its names */
    int request_ref;           /* route: what its requests share (request_object.c) */
    struct script_frame frame; /* handler */
    struct script_metrics metrics;
};

struct script_instance {
    struct lua_host host; /* first, so that a lua_State leads to its instance */
    struct script_generation *generation;
    const struct config *config;
    const struct bundle *support; /* a spec's modules for `require`, or NULL */
    struct coverage *coverage;    /* of a spec's state, or NULL */
    bool read_only;               /* Postgres sessions are read-only */
    size_t memory_used;
    lua_Alloc heap; /* LuaJIT's own allocator of this state */
    void *heap_context;
    size_t memory_limit;
    bool outage_passed_on; /* see outage.c */
    struct script_callable *handlers, *routes, *reactions;
    int view_ref;
    struct buffer literal;              /* view_object.c: a list on its way to a merge */
    int direct_ref;                     /* of a compiled state: what direct.lua returned */
    char value_text[UUID_TEXT_LEN + 1]; /* the last value that it read as text over the FFI */
    int on_error_ref;                   /* script_on_error, created once */
    int run_body_ref;                   /* script_run_body */
    int rows_ref;                       /* the rows of a reaction's query */
    const struct guard_entry *entry;    /* guard.c: of the call under way */
    int64_t called_us;                  /* when the last script_call that has ended began */
    struct merge *merge;                /* of the handler call under way, as is handler_name */
    const char *handler_name;
    struct merge_version version;
    const struct script_touch
        *touches;         /* of the last handler call of a muted state, in the merge's arena */
    bool merged_too_much; /* the event of this call is rejected */
    const struct script_sink *sink; /* of the stream under way; NULL: none */
    int stream_serial;              /* of the last stream: detects a `write` of an ended one */
    bool stream_refused;            /* the sink took no more parts of it */
    struct watched watched;
    struct compiler_figures figures; /* as compiler_note counted them */
    int64_t figures_us;              /* when; 0: not yet */
    struct survey_places *given_up;  /* as survey_note counted them; NULL: not yet */
};

/* instance.c: loads the scripts' functions into an open sandbox. */
bool instance_load(struct script_instance *instance, struct err *err);
/* Records the metrics of the call that has just ended. */
void instance_count_call(const struct script_instance *instance,
                         const struct script_metrics *metrics, bool failed);
/* Prefixes an error with the script's file unless it names it. Always false. */
bool instance_name_script(const struct script_instance *instance, const char *name,
                          struct err *err);

/* sandbox.c: opens the state with its libraries and `require`. Call sandbox_close even if it fails.
 */
bool sandbox_open(struct script_instance *instance, struct err *err);
void sandbox_close(struct script_instance *instance);
struct script_instance *sandbox_instance(lua_State *L);
/* For __index of globals: pushes what compiled texts call under names that no script can write, if
 * the key at `at` is one of them. False: pushes nothing. */
bool sandbox_find_hidden(lua_State *L, int at);
/* Pushes the globals themselves, not the proxy that scripts see. */
void sandbox_push_globals(lua_State *L);
/* Loads a file of the bundle, once per state; sandbox_push_module pushes its result. */
bool sandbox_load(struct script_instance *instance, const char *name, struct err *err);
void sandbox_push_module(lua_State *L, const char *name);

#define SANDBOX_MODULES "aggregator.modules" /* registry key of the loaded modules */
/* Makes the table at the top what `require` gives of a binding: read-only, and reading a name that
 * it lacks raises. */
void sandbox_seal_binding(lua_State *L, const char *name);

/* names.c: push the sets of names of sql/queries, and of modules for `require`. */
void names_push_queries(lua_State *L);
void names_push_modules(lua_State *L);

/* watchdog.c: the list of watched states. A generation outlives its states. */
void watched_add(struct watched *watched, const struct script_generation *generation);
void watched_remove(struct watched *watched);

/* library.c: bounded replacements in the string and table libraries. */
void library_replace(lua_State *L);

/* order.c: pairs and next with a deterministic order. */
void order_replace(lua_State *L);

/* text.c: tostring and string.format without addresses. */
void text_replace(lua_State *L);

/* minmax.c: math.min and math.max that are the same compiled and interpreted. */
void minmax_replace(lua_State *L);

/* substring.c: string.sub and string.byte likewise. */
void substring_replace(lua_State *L);

/* print.c: print, which writes to the log. After text_replace. */
void print_replace(lua_State *L);
/* Logs how many lines were left out, once per window. Any thread. */
void print_flush(int64_t now_us);

/* protect.c: read-only tables. */
void protect_open(lua_State *L);
/* Replaces the table at the top by a read-only proxy; `name` is for errors. */
void protect_table(lua_State *L, const char *name);
/* Pushes the table behind the proxy at the absolute index; nil: not a proxy. */
void protect_push_original(lua_State *L, int at);
int protect_rawset(lua_State *L); /* rawset that rejects proxies */

/* guard.c: the only entry into a state. */
/* For LUA_ERRERR: compiled code that leaves a deep recursion has no stack for the error handler. */
#define SCRIPT_STACK_OVERFLOW "stack overflow (in compiled code: no line is known)"
/* Runs body(L) protected, for at most timeout_ms; its one argument is the context, a light
 * userdata. Results go into the context and are valid only after SCRIPT_OK. Memory that C has to
 * free must be in the context before anything can raise. Calls may nest. SCRIPT_OUTAGE with
 * ERR_TIMEOUT: most of the time went into waits for outside systems. */
enum script_result script_call(struct script_instance *instance, lua_CFunction body, void *context,
                               int timeout_ms, struct err *err);
/* Runs the host's own work in a state: reading declarations, taking references. False: err has the
 * message and the script's line. */
bool script_guard(struct script_instance *instance, lua_CFunction body, void *context,
                  struct err *err);
/* For lua_atpanic: logs script and error, and ends the process. */
int script_panic(lua_State *L);
/* Calls the body of the script_call under way: a function of the state for each would be garbage.
 */
int script_run_body(lua_State *L);
/* Error handler: adds a traceback, and describes values that are not text. */
int script_on_error(lua_State *L);
/* lua_limit_begin and lua_limit_end, also visible to the watchdog. */
struct lua_limit script_limit_begin(struct script_instance *instance, int timeout_ms);
/* While the call under way waits for a client it counts as none; then it has its time again. */
void script_limit_suspend(struct script_instance *instance);
void script_limit_renew(struct script_instance *instance, int timeout_ms);
bool script_limit_end(struct script_instance *instance, struct lua_limit outer);
/* Collects all garbage after the memory cap was hit. The state must be replaced. */
void script_collect_all(struct script_instance *instance);

/* outage.c: begins a handler's call. */
void outage_begin(struct script_instance *instance);
/* In the error handler: detects an outage in the error at 1, and replaces a failure table by its
 * message. */
void outage_look(lua_State *L);
/* Checks the handler's two results at the top: raises the second if it is a failure after nil, pops
 * it if nil. */
void outage_raise_returned(lua_State *L);
/* Turns a failed call that passed on an outage into SCRIPT_OUTAGE; err names what is unavailable.
 */
enum script_result outage_result(const struct script_instance *instance, enum script_result result,
                                 struct err *err);

/* manifest.c: reads the declarations of a state into the generation. False: err has one line per
 * problem. */
bool manifest_read(struct script_instance *instance, struct script_generation *generation,
                   struct err *err);

/* Whether the event of the call under way may merge so many bytes more. Check it before any
 * allocation in the merges' arena. */
bool view_object_has_room(const struct script_instance *instance, size_t bytes);
/* view_object.c: pushes the handlers' `view`. */
void view_object_push(struct script_instance *instance);

/* response.c: reads a route's result, at the top, into the response, which the caller frees even if
 * this raises. True: it is `unavailable`. */
bool response_take(lua_State *L, const struct script_route *route, struct script_response *response,
                   struct err *outage);

/* Reads the failure of a binding, a table at `at`: its kind, message and sqlstate. */
void response_read_failure(lua_State *L, int at, struct err *err);

/* response_stream.c: `stream` of a response. */
/* Whether the response at `at` has it; then pushes the function. Raises where the route or the
 * response may not have it. */
bool response_stream_take(lua_State *L, int at, const struct script_route *route);
/* Calls the function at the top, whose parts go to the sink. Each part gives the call its whole
 * time again; how long all may take is the sink's to bound. True: it returned the failure of a
 * system that is unavailable. */
bool response_stream_run(lua_State *L, const struct script_sink *sink,
                         const struct script_response *response, struct err *outage);

/* response_headers.c: reads `headers` of the response at `at`. Raises "… of its response …". */
void response_take_headers(lua_State *L, int at, const struct script_route *route,
                           struct script_headers *headers);

/* event_object.c: the handlers' `event`. */
/* Pushes the table of a handler's events, read-only. */
void event_push(struct script_instance *instance, const struct script_handler *handler);

/* Raises "WHAT takes …" unless the number at `at` is a time. */
int64_t script_check_time_us(lua_State *L, int at, const char *what);

/* Pushes the metatable of a table with these fields: reading another one raises. */
void event_push_strict(lua_State *L, const struct extract_field *fields, size_t count,
                       const char *owner, const char *place);
/* Pushes a new table with the values of the fields. */
void event_push_values(lua_State *L, const struct extract_field *fields, size_t count,
                       const struct extract_value *values);

/* request_unknown.c: whether all members of the JSON document, which the part's plan has read, are
 * declared. False: ERR_INPUT, for the client, with the nearest name. */
bool request_unknown_none(const struct script_part *part, struct slice document, struct err *err);

/* request_object.c: the routes' `request`. */
/* Pushes what all requests of a route share; request_push takes it. */
void request_push_shared(struct script_instance *instance, const struct script_route *route);
/* Pushes a request; what its route shares is at the top, and stays. */
void request_push(lua_State *L, const struct script_route *route,
                  const struct script_request *request);

/* Pushes the value of one field. */
void event_push_value(lua_State *L, const struct extract_field *field,
                      const struct extract_value *value);
/* Pushes the list of field names, check_only ones included. */
void event_push_names(lua_State *L, const struct script_handler *handler);
/* Fills the event table at the top; the list of its names is below it. */
void event_fill(lua_State *L, const struct script_handler *handler,
                const struct extract_value *values);

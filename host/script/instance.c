/* instance: one Lua state with the functions of a generation; runs handlers and routes. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/stop.h"
#include "base/xalloc.h"
#include "bindings/pg_reads.h"
#include "advice.h"
#include "direct.h"
#include "script_private.h"

enum script_family { FAMILY_SECONDS, FAMILY_ERRORS, FAMILY_MEMORY, FAMILY_COUNT };

static struct metric *instance_metric_family(enum script_family family) {
    static const struct {
        enum metric_type type;
        const char *name, *help;
    } families[FAMILY_COUNT] = {
        {METRIC_HISTOGRAM, "ras_script_duration_seconds",
         "Time of one call of a handler, route or reaction."},
        {METRIC_COUNTER, "ras_script_errors_total",
         "Calls that raised, took too long or met the memory cap."},
        {METRIC_GAUGE, "ras_script_memory_bytes",
         "Of the Lua state after its last call of the script."},
    };
    return metric_family(families[family].type, families[family].name, families[family].help,
                         "script");
}

static void instance_make_metrics(struct script_metrics *metrics, const char *script) {
    metrics->seconds = metric_cell(instance_metric_family(FAMILY_SECONDS), script);
    metrics->errors = metric_cell(instance_metric_family(FAMILY_ERRORS), script);
    metrics->memory_bytes = metric_cell(instance_metric_family(FAMILY_MEMORY), script);
}

void script_generation_show_metrics(const struct script_generation *generation) {
    size_t count = 0;
    const char **names = xcalloc(generation->handler_count + generation->route_count +
                                     generation->reaction_count + 1,
                                 sizeof *names);
    for (size_t i = 0; i < generation->handler_count; i++) {
        names[count++] = generation->handlers[i].name;
    }
    for (size_t i = 0; i < generation->route_count; i++) {
        names[count++] = generation->routes[i].name;
    }
    for (size_t i = 0; i < generation->reaction_count; i++) {
        names[count++] = generation->reactions[i].name;
    }
    for (int family = 0; family < FAMILY_COUNT; family++) {
        metric_show_only(instance_metric_family(family), names, count);
    }
    free(names);
    metric_scope_show(generation->metrics);
}

void instance_count_call(const struct script_instance *instance,
                         const struct script_metrics *metrics, bool failed) {
    if (instance->host.muted) {
        return;
    }
    metric_observe(metrics->seconds, (double)(clock_monotonic_us() - instance->called_us) / 1e6);
    metric_set(metrics->memory_bytes, (double)instance->memory_used);
    if (failed) {
        metric_add(metrics->errors, 1);
    }
}

bool instance_name_script(const struct script_instance *instance, const char *name,
                          struct err *err) {
    const struct bundle_file *file = bundle_find(&instance->generation->bundle, name);
    const char *path = file ? file->path : name;
    return strstr(err->text, path) ? false : err_wrap(err, "%s", path);
}

struct loading {
    struct script_instance *instance;
    struct script_callable *callable;
    size_t at;
};

/* A registry reference to the module's function. */
static int instance_take_function(lua_State *L, const char *name, const char *function) {
    sandbox_push_module(L, name);
    if (!lua_istable(L, -1)) {
        luaL_error(L, "%s returned a %s when it was loaded again, not a table", name,
                   luaL_typename(L, -1));
    }
    lua_pushstring(L, function);
    lua_rawget(L, -2);
    if (!lua_isfunction(L, -1)) {
        luaL_error(L, "%s has no function `%s` when it is loaded again", name, function);
    }
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return ref;
}

/* Making a list ends a trace, and what follows is interpreted: there a table that C filled is read
 * faster than C's memory. */
static bool instance_reads_lists(const struct script_handler *handler) {
    bool lists = false;
    for (size_t i = 0; i < handler->field_count; i++) {
        const struct extract_field *field = &handler->fields[i];
        lists = lists ||
                (!field->check_only && (field->type == FIELD_LIST || field->type == FIELD_STRINGS));
    }
    return lists;
}

static int instance_load_handler(lua_State *L) {
    const struct loading *loading = lua_touserdata(L, 1);
    struct script_instance *instance = loading->instance;
    const struct script_handler *handler = &instance->generation->handlers[loading->at];
    loading->callable->function_ref = instance_take_function(L, handler->name, "handle");
    event_push(instance, handler);
    if (instance->host.compiled && !instance_reads_lists(handler)) {
        loading->callable->frame.values =
            xcalloc(handler->field_count, sizeof(struct extract_value));
        direct_take_event(L, loading->at);
    }
    loading->callable->event_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    event_push_names(L, handler);
    loading->callable->names_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int instance_load_route(lua_State *L) {
    const struct loading *loading = lua_touserdata(L, 1);
    const struct script_route *route = &loading->instance->generation->routes[loading->at];
    loading->callable->function_ref = instance_take_function(L, route->name, "handle");
    request_push_shared(loading->instance, route);
    loading->callable->request_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int instance_load_reaction(lua_State *L) {
    const struct loading *loading = lua_touserdata(L, 1);
    const char *name = loading->instance->generation->reactions[loading->at].name;
    loading->callable->function_ref = instance_take_function(L, name, "publish");
    return 0;
}

static int instance_load_shared(lua_State *L) {
    struct script_instance *instance = lua_touserdata(L, 1);
    view_object_push(instance);
    instance->view_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* Loads the scripts' files, and takes the functions that the host calls. The items, of `size`
 * bytes, begin with the script's name. */
static bool instance_load_scripts(struct script_instance *instance,
                                  struct script_callable **callables, const void *items,
                                  size_t count, size_t size, lua_CFunction take, struct err *err) {
    *callables = xcalloc(count, sizeof **callables);
    for (size_t i = 0; i < count; i++) {
        const char *name = *(const char *const *)(const void *)((const char *)items + i * size);
        struct loading loading = {instance, &(*callables)[i], i};
        if (!sandbox_load(instance, name, err) || !script_guard(instance, take, &loading, err)) {
            return instance_name_script(instance, name, err);
        }
        instance_make_metrics(&loading.callable->metrics, name);
    }
    return true;
}

bool instance_load(struct script_instance *instance, struct err *err) {
    const struct script_generation *g = instance->generation;
    instance->rows_ref = LUA_NOREF;
    return instance_load_scripts(instance, &instance->handlers, g->handlers, g->handler_count,
                                 sizeof *g->handlers, instance_load_handler, err) &&
           instance_load_scripts(instance, &instance->routes, g->routes, g->route_count,
                                 sizeof *g->routes, instance_load_route, err) &&
           instance_load_scripts(instance, &instance->reactions, g->reactions, g->reaction_count,
                                 sizeof *g->reactions, instance_load_reaction, err) &&
           script_guard(instance, instance_load_shared, instance, err);
}

struct script_instance *script_instance_create(struct script_generation *generation,
                                               struct err *err) {
    if (stop_requested()) { /* many are created in a row, and each may take long */
        err_set(err, ERR_UNAVAILABLE, "the program is stopping");
        return NULL;
    }
    static const struct script_states plain;
    struct script_instance *instance = xcalloc(1, sizeof *instance);
    const struct script_states *states = generation->states ? generation->states : &plain;
    instance->generation = script_generation_ref(generation);
    instance->config = generation->config;
    instance->read_only = states->read_only;
    instance->host.asks = states->asks;
    if (!sandbox_open(instance, err) ||
        (states->prepare && !states->prepare(states->context, instance, err)) ||
        !instance_load(instance, err)) {
        script_instance_destroy(instance);
        return NULL;
    }
    return instance;
}

void script_instance_destroy(struct script_instance *instance) {
    if (!instance) {
        return;
    }
    sandbox_close(instance);
    buffer_free(&instance->literal);
    for (size_t i = 0; instance->handlers && i < instance->generation->handler_count; i++) {
        free(instance->handlers[i].frame.values);
    }
    free(instance->handlers);
    free(instance->routes);
    free(instance->reactions);
    script_generation_unref(instance->generation);
    free(instance);
}

void script_instance_mute(struct script_instance *instance, const char *reason) {
    instance->host.muted = reason;
}

const struct script_touch *script_instance_touches(const struct script_instance *instance) {
    return instance->touches;
}

const char *script_instance_rests_on(const struct script_instance *instance) {
    return instance->host.rests_on;
}

bool script_instance_healthy(const struct script_instance *instance) {
    return instance->host.healthy;
}

/* ---- handlers ----------------------------------------------------------------------------- */

struct handler_call {
    size_t handler;
    const struct extract_value *values;
    bool ignored;
};

/* Reads the handler's result: nothing, or "ignored". */
static void instance_take_outcome(lua_State *L, const char *name, struct handler_call *call) {
    call->ignored = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "ignored") == 0;
    if (!call->ignored && !lua_isnil(L, -1)) {
        luaL_error(L, "%s returned something other than nothing or \"ignored\": a %s", name,
                   luaL_typename(L, -1));
    }
}

/* With the event's proxy at the top. */
static void instance_fill_event(lua_State *L, const struct script_instance *instance,
                                const struct handler_call *call) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->handlers[call->handler].names_ref);
    protect_push_original(L, lua_gettop(L) - 1);
    event_fill(L, &instance->generation->handlers[call->handler], call->values);
    lua_pop(L, 2);
}

/* Protected, because filling the event allocates. */
static int instance_run_handler(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    struct handler_call *call = lua_touserdata(L, 1);
    const struct script_callable *callable = &instance->handlers[call->handler];
    lua_rawgeti(L, LUA_REGISTRYINDEX, callable->function_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, callable->event_ref);
    if (!callable->frame.values) {
        instance_fill_event(L, instance, call);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->view_ref);
    FAULT_POINT("handler");
    lua_call(L, 2, 2);
    outage_raise_returned(L);
    instance_take_outcome(L, instance->generation->handlers[call->handler].name, call);
    return 0;
}

/* A script that catches the error of the merge limit has merged only a part. */
static bool instance_hid_merge_limit(const struct script_instance *instance, size_t handler,
                                     struct err *err) {
    if (instance->merged_too_much) {
        err_set(err, ERR_INPUT,
                "%s caught the error that its event merges more than %d bytes (config.lua, "
                "ingest.event_max_merge_bytes)",
                instance->generation->handlers[handler].name,
                instance->config->ingest.event_max_merge_bytes);
    }
    return instance->merged_too_much;
}

/* The values are the event's. A call that has ended leaves texts that are no longer there. */
static void instance_frame_event(struct script_frame *frame, const struct script_handler *handler,
                                 const struct extract_value *values) {
    if (frame->values) {
        memcpy(frame->values, values, handler->field_count * sizeof *values);
    }
    frame->running = frame->values != NULL;
}

enum script_result script_handle(struct script_instance *instance, size_t handler,
                                 const struct extract_value *values, struct merge *merge,
                                 struct err *err) {
    const char *name = instance->generation->handlers[handler].name;
    struct handler_call call = {handler, values, false};
    instance->merge = merge;
    instance->host.may_not_produce = ADVICE_PRODUCE_IN_HANDLER;
    instance->handler_name = name;
    instance->host.rests_on = NULL;
    instance->touches = NULL;
    instance->merged_too_much = false;
    outage_begin(instance);
    instance_frame_event(&instance->handlers[handler].frame,
                         &instance->generation->handlers[handler], values);
    instance->version.at_us = values[ENVELOPE_TIME].as.integer;
    memcpy(instance->version.event_id, values[ENVELOPE_EVENT_ID].as.uuid, 16);
    watched_name(&instance->watched, name, instance->version.event_id);
    enum script_result result = script_call(instance, instance_run_handler, &call,
                                            instance->config->scripts.handler_timeout_ms, err);
    instance->handlers[handler].frame.running = false;
    instance->merge = NULL;
    instance->host.may_not_produce = NULL;
    instance_count_call(instance, &instance->handlers[handler].metrics,
                        result != SCRIPT_OK && result != SCRIPT_OUTAGE);
    if (result != SCRIPT_OK) {
        instance_name_script(instance, name, err);
        return outage_result(instance, result, err);
    }
    if (instance_hid_merge_limit(instance, handler, err)) {
        return SCRIPT_ERROR;
    }
    return call.ignored ? SCRIPT_IGNORED : SCRIPT_OK;
}

const char *script_rejection_code(enum script_result result) {
    return result == SCRIPT_TIMEOUT  ? "handler_timeout"
           : result == SCRIPT_OUTAGE ? "handler_unavailable"
                                     : "handler_error";
}

/* ---- routes ------------------------------------------------------------------------------- */

struct route_call {
    const struct script_request *request;
    struct script_response *response;
    struct err *outage;
    bool unavailable;
};

static int instance_run_route(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    struct route_call *call = lua_touserdata(L, 1);
    const struct script_callable *callable = &instance->routes[call->request->route];
    lua_rawgeti(L, LUA_REGISTRYINDEX, callable->function_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, callable->request_ref);
    request_push(L, &instance->generation->routes[call->request->route], call->request);
    lua_remove(L, -2);
    FAULT_POINT("route");
    lua_call(L, 1, 1);
    const struct script_route *route = &instance->generation->routes[call->request->route];
    call->unavailable = response_take(L, route, call->response, call->outage);
    if (call->response->is_stream && call->request->sink) {
        call->unavailable =
            response_stream_run(L, call->request->sink, call->response, call->outage);
    }
    return 0;
}

/* Routes that only read may ask replicas. */
static void instance_choose_database(struct script_instance *instance,
                                     const struct script_route *route, struct pg_read *read) {
    instance->host.writes = route->writes || strcmp(route->method, "GET") != 0;
    instance->host.read = instance->host.writes ? NULL : read;
}

enum script_result script_answer(struct script_instance *instance,
                                 const struct script_request *request,
                                 struct script_response *response, struct err *err) {
    const char *name = instance->generation->routes[request->route].name;
    struct route_call call = {request, response, err, false};
    *response = (struct script_response){0};
    watched_name(&instance->watched, name, NULL);
    instance->host.traceparent = request->traceparent;
    instance->stream_refused = false;
    struct pg_read read = {0};
    instance_choose_database(instance, &instance->generation->routes[request->route], &read);
    enum script_result result = script_call(instance, instance_run_route, &call,
                                            instance->config->scripts.route_timeout_ms, err);
    instance->host.traceparent = (struct slice){0};
    instance->host.read = NULL;
    instance->host.writes = false;
    instance->sink = NULL;
    instance_count_call(instance, &instance->routes[request->route].metrics,
                        result != SCRIPT_OK && result != SCRIPT_OUTAGE &&
                            !instance->stream_refused);
    if (result == SCRIPT_OK && call.unavailable) {
        result = SCRIPT_OUTAGE;
    }
    if (result != SCRIPT_OK) {
        script_response_free(response);
        instance_name_script(instance, name, err);
    }
    return result;
}

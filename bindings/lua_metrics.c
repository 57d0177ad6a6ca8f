/* metrics for scripts: counters, gauges and histograms on /metrics. They belong to the generation,
 * not to a Lua state: all its states share a metric. */
#include <math.h>

#include "base/metrics.h"
#include "base/utf8.h"
#include "lua_host.h"
#include "lua_util.h"

#define METRIC_TYPE "aggregator.metric"
#define MAX_NAME_BYTES 100
#define MAX_LABEL_VALUE_BYTES 128

static const char *const type_names[] = {"counter", "gauge", "histogram"};

struct handle {
    struct metric *metric; /* lives as long as the generation */
    enum metric_type type;
    const char *name; /* owned, as the label names, by the handle's environment table */
    const char *labels[METRIC_MAX_LABELS];
    size_t label_count;
};

/* ---- declaring ---------------------------------------------------------------------------- */

static bool lua_metrics_is_name(const char *name, const char *more) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    for (size_t i = 0; name[i]; i++) {
        bool digit = i > 0 && name[i] >= '0' && name[i] <= '9';
        if (!strchr(letters, name[i]) && !strchr(more, name[i]) && !digit) {
            return false;
        }
    }
    return name[0] && strlen(name) <= MAX_NAME_BYTES;
}

static const char *lua_metrics_check_metric_name(lua_State *L, const char *call) {
    const char *name = lua_check_name(L, 1, call, "the name");
    if (!lua_metrics_is_name(name, ":")) {
        lua_bad_argument(L, 1, call, "the name", "like [a-z_:][a-z0-9_:]*, at most 100 bytes");
    }
    return name;
}

static const char *lua_metrics_check_help(lua_State *L, const char *call) {
    struct slice help = lua_check_text(L, 2, call, "the help");
    for (size_t i = 0; i < help.len; i++) {
        if ((unsigned char)help.data[i] < 0x20 || help.data[i] == '\\') {
            help.len = 0;
        }
    }
    if (help.len == 0 || lua_text_problem(help)) {
        lua_bad_argument(L, 2, call, "the help", "one line of text without backslashes");
    }
    return help.data;
}

/* Reads the list of label names (argument 3) and pushes them joined by commas. */
static const char *lua_metrics_read_labels(lua_State *L, const char *call, struct handle *handle) {
    lua_pushliteral(L, "");
    if (lua_isnil(L, 3)) {
        return "";
    }
    int count = lua_check_list(L, 3, call, "the label names");
    if (count > METRIC_MAX_LABELS) {
        luaL_error(L, "%s: at most %d labels", call, METRIC_MAX_LABELS);
    }
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, 3, i + 1);
        const char *label = lua_check_name(L, lua_gettop(L), call, "a label's name");
        if (!lua_metrics_is_name(label, "") || strncmp(label, "__", 2) == 0 ||
            strcmp(label, "le") == 0) {
            lua_bad_argument(L, lua_gettop(L), call, "a label's name",
                             "like [a-z_][a-z0-9_]*, not le, not beginning with __");
        }
        for (size_t j = 0; j < handle->label_count; j++) {
            if (strcmp(handle->labels[j], label) == 0) {
                luaL_error(L, "%s: label \"%s\" stands twice", call, label);
            }
        }
        handle->labels[handle->label_count++] = label;
        lua_pop(L, 1); /* argument 3 still holds it */
        lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), i ? "," : "", label);
        lua_remove(L, -2);
    }
    return lua_tostring(L, -1);
}

/* Makes the handle own the strings it points to. */
static void lua_metrics_keep_strings(lua_State *L, const struct handle *handle) {
    lua_createtable(L, METRIC_MAX_LABELS + 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    for (size_t i = 0; i < handle->label_count; i++) {
        lua_pushstring(L, handle->labels[i]); /* interned: the same string */
        lua_rawseti(L, -2, (int)i + 2);
    }
    lua_setfenv(L, -2);
}

/* metrics.counter(name, help, labels), metrics.gauge(name, help, labels) and
 * metrics.histogram(name, help, labels) -> metric. Upvalue 1: the type. */
static int lua_metrics_declare(lua_State *L) {
    enum metric_type type = (enum metric_type)lua_tointeger(L, lua_upvalueindex(1));
    struct err err = {0};
    lua_settop(L, 3);
    const char *call = lua_pushfstring(L, "metrics.%s", type_names[type]);
    const char *name = lua_metrics_check_metric_name(L, call);
    const char *help = lua_metrics_check_help(L, call);
    struct handle *handle = lua_newuserdata(L, sizeof *handle);
    *handle = (struct handle){.type = type, .name = name};
    const char *labels = lua_metrics_read_labels(L, call, handle);
    handle->metric =
        metric_scope_family(lua_host_of(L)->services.metrics, type, name, help, labels, &err);
    if (!handle->metric) {
        return luaL_error(L, "%s: %s", call, err.text);
    }
    lua_settop(L, 5); /* the handle */
    lua_metrics_keep_strings(L, handle);
    luaL_getmetatable(L, METRIC_TYPE);
    lua_setmetatable(L, -2);
    return 1;
}

/* ---- using -------------------------------------------------------------------------------- */

/* Truncates at a character boundary; invalid bytes become ?, because Prometheus refuses a page with
 * invalid UTF-8. */
static void lua_metrics_copy_label_value(struct slice from, char to[MAX_LABEL_VALUE_BYTES + 1]) {
    size_t used = 0;
    for (size_t i = 0; i < from.len;) {
        size_t step = utf8_sequence(from.data + i, from.len - i);
        bool good = step > 0 && from.data[i] != '\0';
        size_t len = good ? step : 1;
        if (used + len > MAX_LABEL_VALUE_BYTES) {
            break;
        }
        memcpy(to + used, good ? from.data + i : "?", len);
        used += len;
        i += len;
    }
    to[used] = '\0';
}

static void lua_metrics_read_label_value(lua_State *L, int labels, const char *call,
                                         const char *label, char value[MAX_LABEL_VALUE_BYTES + 1]) {
    char number[LUA_NUMBER_TEXT_CAP];
    struct slice text;
    lua_getfield(L, labels, label);
    int at = lua_gettop(L);
    if (lua_type(L, at) == LUA_TNUMBER) {
        text = slice_of(lua_format_number(lua_tonumber(L, at), number));
    } else if (lua_type(L, at) == LUA_TBOOLEAN) {
        text = slice_of(lua_toboolean(L, at) ? "true" : "false");
    } else if (lua_type(L, at) == LUA_TSTRING) {
        text.data = lua_tolstring(L, at, &text.len);
    } else {
        lua_bad_argument(L, at, call, lua_pushfstring(L, "label \"%s\"", label),
                         "a string, a number or a boolean");
        return;
    }
    lua_metrics_copy_label_value(text, value);
    lua_pop(L, 1);
}

static struct metric_cell *lua_metrics_find_cell(lua_State *L, const struct handle *handle,
                                                 const char *call) {
    char texts[METRIC_MAX_LABELS][MAX_LABEL_VALUE_BYTES + 1];
    const char *values[METRIC_MAX_LABELS];
    if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    lua_check_table(L, 3, call, "the labels");
    if (handle->label_count > 0) {
        lua_check_fields(L, 3, call, handle->labels, handle->label_count);
    } else {
        lua_pushnil(L);
        if (lua_next(L, 3)) {
            luaL_error(L, "%s: it has no labels", call);
        }
    }
    for (size_t i = 0; i < handle->label_count; i++) {
        lua_metrics_read_label_value(L, 3, call, handle->labels[i], texts[i]);
        values[i] = texts[i];
    }
    return !lua_host_of(L)->muted ? metric_cell_of(handle->metric, values, handle->label_count)
                                  : metric_unshown(handle->type);
}

static const struct metric_method {
    const char *name;
    unsigned types; /* that have it */
    void (*run)(struct metric_cell *cell, double number);
} metric_methods[] = {{"add", 1u << METRIC_COUNTER | 1u << METRIC_GAUGE, metric_add},
                      {"set", 1u << METRIC_GAUGE, metric_set},
                      {"observe", 1u << METRIC_HISTOGRAM, metric_observe}};

/* metric:add(number, labels), metric:set(number, labels), metric:observe(number, labels). Upvalue
 * 1: the index in metric_methods. */
static int lua_metrics_run_method(lua_State *L) {
    const struct metric_method *method = &metric_methods[lua_tointeger(L, lua_upvalueindex(1))];
    struct handle *handle = luaL_testudata(L, 1, METRIC_TYPE);
    if (!handle) {
        return luaL_error(L, "%s: call it as metric:%s(number, labels)", method->name,
                          method->name);
    }
    lua_settop(L, 3);
    const char *call = lua_pushfstring(L, "%s:%s", handle->name, method->name);
    if (!(method->types & 1u << handle->type)) {
        luaL_error(L, "%s: it is a %s", call, type_names[handle->type]);
    }
    double number = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : NAN;
    bool negative_too = handle->type == METRIC_GAUGE;
    if (!isfinite(number) || (number < 0 && !negative_too)) {
        lua_bad_argument(L, 2, call, "the number",
                         negative_too ? "a finite number" : "a finite number of at least 0");
    }
    method->run(lua_metrics_find_cell(L, handle, call), number);
    return 0;
}

/* Adds a function, with its index in a table as upvalue 1, to the table at the top. */
static void lua_metrics_add_function(lua_State *L, const char *name, lua_CFunction function,
                                     int index) {
    lua_pushinteger(L, index);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

int luaopen_agg_metrics(lua_State *L) {
    luaL_newmetatable(L, METRIC_TYPE);
    lua_newtable(L);
    for (int i = 0; i < (int)(sizeof metric_methods / sizeof *metric_methods); i++) {
        lua_metrics_add_function(L, metric_methods[i].name, lua_metrics_run_method, i);
    }
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "metric");
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    for (int type = METRIC_COUNTER; type <= METRIC_HISTOGRAM; type++) {
        lua_metrics_add_function(L, type_names[type], lua_metrics_declare, type);
    }
    return 1;
}

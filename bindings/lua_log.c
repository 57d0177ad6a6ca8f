/* log for scripts: one line with fields, of bounded size. */
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"
#include "lua_modules.h"
#include "lua_util.h"

#define MAX_FIELDS 16
#define MAX_TEXT_BYTES 2048

static const struct log_function {
    const char *call;
    enum log_level level;
} log_functions[] = {{"log.debug", LOG_DEBUG},
                     {"log.info", LOG_INFO},
                     {"log.warning", LOG_WARNING},
                     {"log.error", LOG_ERROR}};

struct line {
    const char *call;
    struct log_field fields[MAX_FIELDS];
    size_t count;
    char numbers[MAX_FIELDS][LUA_NUMBER_TEXT_CAP];
};

/* Truncates to MAX_TEXT_BYTES, at a character boundary. */
static struct slice lua_log_cut(struct slice text) {
    if (text.len <= MAX_TEXT_BYTES) {
        return text;
    }
    size_t len = 0, step;
    while ((step = utf8_sequence(text.data + len, text.len - len)),
           len + (step ? step : 1) <= MAX_TEXT_BYTES) {
        len += step ? step : 1;
    }
    return (struct slice){text.data, len};
}

/* Keys that the log line sets itself are reserved. */
static const char *lua_log_check_key(lua_State *L, int at, const char *call) {
    static const char *const own[] = {"time", "level", "message", "correlation_id", "trace_id"};
    const char *key = lua_check_name(L, at, call, "a field's name");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(key, own[i]) == 0) {
            luaL_error(L, "%s: field \"%s\" is the line's own", call, key);
        }
    }
    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")]) {
        lua_bad_argument(L, at, call, "a field's name", "letters, digits, _, . and -");
    }
    return key;
}

/* Adds the field at the top of the stack, [name, value]. */
static void lua_log_add_field(lua_State *L, struct line *line) {
    int at = lua_gettop(L);
    const char *key = lua_log_check_key(L, at - 1, line->call);
    if (line->count == MAX_FIELDS) {
        luaL_error(L, "%s: more than %d fields", line->call, MAX_FIELDS);
    }
    struct log_field *field = &line->fields[line->count];
    struct slice text;
    switch (lua_type(L, at)) {
    case LUA_TBOOLEAN:
        *field = LOG_BARE(key, lua_toboolean(L, at) ? "true" : "false");
        break;
    case LUA_TNUMBER: {
        double number = lua_tonumber(L, at);
        const char *shown = lua_format_number(number, line->numbers[line->count]);
        bool is_json = number - number == 0; /* not NaN, not infinite */
        *field = is_json ? LOG_BARE(key, shown) : LOG_TEXT(key, shown);
        break;
    }
    case LUA_TSTRING:
        text.data = lua_tolstring(L, at, &text.len);
        *field = LOG_SLICE(key, lua_log_cut(text));
        break;
    default:
        lua_bad_argument(L, at, line->call, lua_pushfstring(L, "field \"%s\"", key),
                         "a string, a number or a boolean");
    }
    line->count++;
}

static int lua_log_compare_fields(const void *a, const void *b) {
    return strcmp(((const struct log_field *)a)->key, ((const struct log_field *)b)->key);
}

/* log.debug(message, fields), log.info(message, fields), log.warning(message, fields) and
 * log.error(message, fields); fields maps names to strings, numbers or booleans.
 * Upvalue 1: the index in log_functions. */
static int lua_log_write_line(lua_State *L) {
    const struct log_function *function = &log_functions[lua_tointeger(L, lua_upvalueindex(1))];
    const char *call = function->call;
    struct line line = {.call = call};
    char message[MAX_TEXT_BYTES + 1];
    struct slice text = lua_log_cut(lua_check_text(L, 1, call, "the message"));
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        lua_check_table(L, 2, call, "the fields");
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
            lua_log_add_field(L, &line);
        }
    }
    for (size_t i = 0; i < text.len; i++) { /* no line breaks */
        message[i] = (unsigned char)text.data[i] < 0x20 ? ' ' : text.data[i];
    }
    message[text.len] = '\0';
    qsort(line.fields, line.count, sizeof *line.fields, lua_log_compare_fields);
    log_write(function->level, message, line.fields, line.count);
    return 0;
}

int luaopen_agg_log(lua_State *L) {
    lua_newtable(L);
    for (size_t i = 0; i < sizeof log_functions / sizeof *log_functions; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, lua_log_write_line, 1);
        lua_setfield(L, -2, log_functions[i].call + strlen("log."));
    }
    return 1;
}

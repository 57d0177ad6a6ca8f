#include "lua_util.h"

#include <math.h>
#include <stdio.h>

#include "base/nearest.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "lua_host.h"
#include "lua_names.h"

#define SHOWN_BYTES 40

/* ---- arguments ---------------------------------------------------------------------------- */

/* Pushes the value's description for an error: its type, and its text, truncated. */
static const char *lua_util_push_description(lua_State *L, int at) {
    char text[LUA_NUMBER_TEXT_CAP];
    switch (lua_type(L, at)) {
    case LUA_TNONE:
        return lua_pushfstring(L, "nothing");
    case LUA_TNIL:
        return lua_pushfstring(L, "nil");
    case LUA_TBOOLEAN:
        return lua_pushfstring(L, "%s", lua_toboolean(L, at) ? "true" : "false");
    case LUA_TNUMBER:
        return lua_pushfstring(L, "the number %s", lua_format_number(lua_tonumber(L, at), text));
    case LUA_TSTRING: {
        char shown[SHOWN_BYTES + 1];
        size_t len;
        const char *from = lua_tolstring(L, at, &len);
        size_t kept = len < SHOWN_BYTES ? len : SHOWN_BYTES;
        for (size_t i = 0; i < kept; i++) {
            shown[i] = (unsigned char)from[i] < 0x20 ? '?' : from[i];
        }
        shown[kept] = '\0';
        return lua_pushfstring(L, "\"%s\"%s", shown, kept < len ? "…" : "");
    }
    case LUA_TLIGHTUSERDATA:
        return lua_pushfstring(L, "json.null");
    default:
        return lua_pushfstring(L, "a %s", luaL_typename(L, at));
    }
}

int lua_bad_argument(lua_State *L, int at, const char *call, const char *what,
                     const char *expected) {
    const char *got = lua_util_push_description(L, at);
    return luaL_error(L, "%s: %s must be %s, got %s", call, what, expected, got);
}

struct slice lua_check_text(lua_State *L, int at, const char *call, const char *what) {
    struct slice text;
    if (lua_type(L, at) != LUA_TSTRING) {
        lua_bad_argument(L, at, call, what, "a string");
    }
    text.data = lua_tolstring(L, at, &text.len);
    return text;
}

const char *lua_check_name(lua_State *L, int at, const char *call, const char *what) {
    struct slice text = lua_check_text(L, at, call, what);
    if (text.len == 0 || memchr(text.data, 0, text.len)) {
        lua_bad_argument(L, at, call, what, "a string that is not empty and holds no NUL");
    }
    return text.data;
}

void lua_check_table(lua_State *L, int at, const char *call, const char *what) {
    if (!lua_istable(L, at)) {
        lua_bad_argument(L, at, call, what, "a table");
    }
}

int lua_check_list(lua_State *L, int at, const char *call, const char *what) {
    int count = 0;
    if (!lua_istable(L, at)) {
        lua_bad_argument(L, at, call, what, "a list");
    }
    int items = (int)lua_objlen(L, at);
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        lua_Number key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key < 1 || key > items || key != floor(key)) {
            count = -1;
            break;
        }
        count++;
    }
    return count == items
               ? count
               : luaL_error(L, "%s: %s must be a list: keys from 1 on without a gap", call, what);
}

void lua_check_fields(lua_State *L, int at, const char *call, const char *const *names,
                      size_t count) {
    char hint[NEAREST_HINT_CAP];
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_bad_argument(L, -2, call, "a field's name", "a string");
        }
    }
    const char *unknown = lua_names_unknown(L, at, names, count);
    if (unknown) {
        luaL_error(L, "%s: there is no field \"%s\": %s", call, unknown,
                   nearest_hint(hint, unknown, names, count));
    }
}

/* "field NAME", left on the stack. */
static const char *lua_util_push_field_name(lua_State *L, const char *name) {
    return lua_pushfstring(L, "field \"%s\"", name);
}

struct slice lua_field_text(lua_State *L, int at, const char *call, const char *name,
                            bool required) {
    struct slice text = {0};
    lua_pushstring(L, name);
    lua_rawget(L, at); /* a metamethod's result would be collected once popped */
    if (!lua_isnil(L, -1) || required) {
        const char *what = lua_util_push_field_name(L, name);
        text = lua_check_text(L, -2, call, what);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return text;
}

/* table[name], a whole number from min to max; `absent` if nil. */
static int lua_util_field_integer(lua_State *L, int at, const char *call, const char *name, int min,
                                  int max, int absent) {
    int value = absent;
    lua_getfield(L, at, name);
    if (!lua_isnil(L, -1)) {
        double number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
        if (!(number >= min && number <= max && number == floor(number))) {
            const char *range = lua_pushfstring(L, "a whole number from %d to %d", min, max);
            const char *what = lua_util_push_field_name(L, name);
            lua_bad_argument(L, -3, call, what, range);
        }
        value = (int)number;
    }
    lua_pop(L, 1);
    return value;
}

int lua_field_timeout_ms(lua_State *L, int at, const char *call) {
    int left_ms = lua_host_remaining_ms(L, call);
    int wanted_ms = lua_util_field_integer(L, at, call, "timeout_ms", 1, 3600000, 3600000);
    return wanted_ms < left_ms ? wanted_ms : left_ms;
}

/* ---- values ------------------------------------------------------------------------------- */

void lua_push_integer(lua_State *L, int64_t value) {
    if (value > -LUA_EXACT_INTEGER && value < LUA_EXACT_INTEGER) {
        lua_pushnumber(L, (lua_Number)value);
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    lua_pushstring(L, text);
}

bool lua_read_time(lua_State *L, int at, int64_t *time_us) {
    struct slice digits;
    if (lua_type(L, at) == LUA_TNUMBER) {
        lua_Number number = lua_tonumber(L, at);
        bool is_time = timestamp_is_time(number);
        *time_us = is_time ? (int64_t)number : 0;
        return is_time;
    }
    if (lua_type(L, at) != LUA_TSTRING) {
        return false;
    }
    digits.data = lua_tolstring(L, at, &digits.len);
    return number_parse_int64(digits, time_us) && *time_us <= TIMESTAMP_LAST_US &&
           (*time_us >= LUA_EXACT_INTEGER ||
            (*time_us <= -LUA_EXACT_INTEGER && *time_us >= TIMESTAMP_FIRST_US));
}

const char *lua_format_number(double number, char text[LUA_NUMBER_TEXT_CAP]) {
    if (isnan(number) || isinf(number)) {
        snprintf(text, LUA_NUMBER_TEXT_CAP, "%s",
                 isnan(number) ? "NaN"
                 : number > 0  ? "Infinity"
                               : "-Infinity");
        return text;
    }
    if (number == floor(number) && fabs(number) <= (double)LUA_EXACT_INTEGER) {
        snprintf(text, LUA_NUMBER_TEXT_CAP, "%.0f", number);
        return text;
    }
    return number_format(number, text);
}

void lua_push_failure_table(lua_State *L, const struct err *err) {
    lua_host_note_failure(L, err);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, err_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->text);
    lua_setfield(L, -2, "message");
}

int lua_push_failure(lua_State *L, const struct err *err) {
    lua_pushnil(L);
    lua_push_failure_table(L, err);
    return 2;
}

void lua_mark_list(lua_State *L) {
    if (luaL_newmetatable(L, LUA_LIST_TYPE)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "is_json_array");
        lua_pushliteral(L, "list");
        lua_setfield(L, -2, "__metatable"); /* shared: scripts must not change it */
    }
    lua_setmetatable(L, -2);
}

bool lua_is_marked_list(lua_State *L, int at) {
    if (!lua_getmetatable(L, at)) {
        return false;
    }
    luaL_getmetatable(L, LUA_LIST_TYPE);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

void *lua_new_resource(lua_State *L, size_t bytes, lua_CFunction finish) {
    void *resource = lua_newuserdata(L, bytes);
    memset(resource, 0, bytes);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, finish);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return resource;
}

void lua_bind_functions(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name; functions++) {
        lua_pushvalue(L, -1);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -3, functions->name);
    }
    lua_pop(L, 1);
}

const char *lua_text_problem(struct slice text) {
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_sequence(text.data + i, text.len - i);
        if (text.data[i] == '\0') {
            return "holds a NUL byte";
        }
        if (len == 0) {
            return "is not valid UTF-8";
        }
        i += len;
    }
    return NULL;
}

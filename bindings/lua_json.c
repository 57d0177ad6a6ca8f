/* json for scripts: encode and null. lua-cjson 2.1.0 rounds numbers past 14 digits, writes empty
 * tables as {} and passes invalid UTF-8 on, so the writer is our own; documents are read by the
 * declared fields of a handler, never as trees. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host/buffer.h"
#include "lua_modules.h"

#define MAX_DEPTH 64

static void encode(lua_State *L, struct buffer *out, int depth);

static void add_number(lua_State *L, struct buffer *out) {
    char text[40];
    double number = lua_tonumber(L, -1);
    if (!isfinite(number)) {
        luaL_error(L, "json: NaN and infinity have no form");
    }
    /* The shortest form that reads back as the same number. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    buffer_append_text(out, text);
}

static void encode_list(lua_State *L, struct buffer *out, int depth) {
    int count = (int)lua_objlen(L, -1);
    buffer_append_text(out, "[");
    for (int i = 1; i <= count; i++) {
        buffer_append_text(out, i > 1 ? "," : "");
        lua_rawgeti(L, -1, i);
        encode(L, out, depth + 1);
        lua_pop(L, 1);
    }
    buffer_append_text(out, "]");
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of the table at the top, sorted: equal tables must have equal texts. The list is Lua's
 * own memory, so that an error cannot leak it; it is left on the stack above the table. */
static const char **sorted_keys(lua_State *L, size_t *count) {
    int table = lua_gettop(L);
    *count = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "json: a table has both string and other keys");
        }
        ++*count;
    }
    const char **keys = lua_newuserdata(L, (*count + 1) * sizeof *keys);
    size_t at = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        keys[at++] = lua_tostring(L, -2);
    }
    qsort(keys, *count, sizeof *keys, compare_keys);
    return keys;
}

static void encode_object(lua_State *L, struct buffer *out, int depth) {
    size_t count;
    const char **keys = sorted_keys(L, &count); /* [table, keys] */
    buffer_append_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(out, i > 0 ? "," : "");
        buffer_append_json_string(out, slice_of(keys[i]));
        buffer_append_text(out, ":");
        lua_getfield(L, -2, keys[i]);
        encode(L, out, depth + 1);
        lua_pop(L, 1);
    }
    buffer_append_text(out, "}");
    lua_pop(L, 1);
}

static bool is_list(lua_State *L) {
    if (lua_objlen(L, -1) > 0) {
        return true;
    }
    bool marked = luaL_getmetafield(L, -1, "is_json_array");
    lua_pop(L, marked);
    return marked;
}

/* The value at the top stays there. */
static void encode(lua_State *L, struct buffer *out, int depth) {
    if (depth > MAX_DEPTH) {
        luaL_error(L, "json: nested deeper than %d, or in a circle", MAX_DEPTH);
    }
    luaL_checkstack(L, 8, "json");
    size_t len;
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        buffer_append_text(out, "null");
        break;
    case LUA_TBOOLEAN:
        buffer_append_text(out, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        add_number(L, out);
        break;
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, -1, &len);
        buffer_append_json_string(out, (struct slice){text, len});
        break;
    }
    case LUA_TTABLE:
        is_list(L) ? encode_list(L, out, depth) : encode_object(L, out, depth);
        break;
    default:
        luaL_error(L, "json: a %s has no form", luaL_typename(L, -1));
    }
}

static int free_output(lua_State *L) {
    buffer_free(lua_touserdata(L, 1));
    return 0;
}

/* json.encode(value) -> text. Raises for what has no form. */
static int lua_encode(lua_State *L) {
    luaL_checkany(L, 1);
    struct buffer *out = lua_newuserdata(L, sizeof *out);
    *out = (struct buffer){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_output);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    encode(L, out, 0);
    lua_pushlstring(L, out->data, out->len);
    return 1;
}

/* json.array(table) -> the same table, marked: an empty one is written as [] */
static int lua_array(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "is_json_array");
    lua_setmetatable(L, 1);
    return 1;
}

int luaopen_agg_json(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"encode", lua_encode}, {"array", lua_array}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}

/* json for scripts, over the scanner of events. docs/DECISIONS.md explains why it is not lua-cjson.
 *
 * A userdata owns the output, and scanning allocates nothing: a Lua error, which longjmps, leaks
 * nothing. */
#include "lua_json.h"

#include <math.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "lua_host.h"
#include "lua_util.h"

/* ---- encode ------------------------------------------------------------------------------- */

static const char encode_call[] = "json.encode";

static void lua_json_encode_value(lua_State *L, struct buffer *out, int depth);

static void lua_json_encode_number(lua_State *L, struct buffer *out) {
    char text[LUA_NUMBER_TEXT_CAP];
    double number = lua_tonumber(L, -1);
    if (!isfinite(number)) {
        luaL_error(L, "%s: NaN and infinity have no form in JSON", encode_call);
    }
    buffer_append_text(out, lua_format_number(number, text));
}

static void lua_json_encode_list(lua_State *L, struct buffer *out, int depth) {
    int count = lua_check_list(L, lua_gettop(L), encode_call, "a table with items");
    buffer_append(out, "[", 1);
    for (int i = 1; i <= count; i++) {
        buffer_append_text(out, i > 1 ? "," : "");
        lua_rawgeti(L, -1, i);
        lua_json_encode_value(L, out, depth + 1);
        lua_pop(L, 1);
    }
    buffer_append(out, "]", 1);
}

static int lua_json_compare_keys(const void *a, const void *b) {
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The keys of the table at the top, sorted: equal tables must have equal texts. Leaves the list, a
 * userdata, on the stack above the table. */
static struct slice *lua_json_sorted_keys(lua_State *L, size_t *count) {
    int table = lua_gettop(L);
    *count = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_bad_argument(L, lua_gettop(L) - 1, encode_call, "the key of an object", "a string");
        }
        ++*count;
    }
    struct slice *keys = lua_newuserdata(L, (*count + 1) * sizeof *keys);
    size_t at = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        keys[at].data = lua_tolstring(L, -2, &keys[at].len);
        at++;
    }
    qsort(keys, *count, sizeof *keys, lua_json_compare_keys);
    return keys;
}

static void lua_json_encode_object(lua_State *L, struct buffer *out, int depth) {
    size_t count;
    struct slice *keys = lua_json_sorted_keys(L, &count); /* [table, keys] */
    buffer_append(out, "{", 1);
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(out, i > 0 ? "," : "");
        buffer_append_json_string(out, keys[i]);
        buffer_append(out, ":", 1);
        lua_pushlstring(L, keys[i].data, keys[i].len);
        lua_rawget(L, -3);
        lua_json_encode_value(L, out, depth + 1);
        lua_pop(L, 1);
    }
    buffer_append(out, "}", 1);
    lua_pop(L, 1);
}

static bool lua_json_is_list(lua_State *L) {
    if (lua_objlen(L, -1) > 0) {
        return true;
    }
    bool marked = luaL_getmetafield(L, -1, "is_json_array");
    lua_pop(L, marked);
    return marked;
}

/* The value at the top stays there. */
static void lua_json_encode_value(lua_State *L, struct buffer *out, int depth) {
    struct slice text;
    luaL_checkstack(L, 8, encode_call);
    if (out->len > LUA_JSON_MAX_BYTES) {
        luaL_error(L, "%s: the text is over 16 MiB", encode_call);
    }
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        buffer_append_text(out, "null");
        break;
    case LUA_TBOOLEAN:
        buffer_append_text(out, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        lua_json_encode_number(L, out);
        break;
    case LUA_TSTRING:
        text.data = lua_tolstring(L, -1, &text.len);
        buffer_append_json_string(out, text);
        break;
    case LUA_TTABLE:
        if (depth == JSON_MAX_DEPTH) {
            luaL_error(L, "%s: tables are nested deeper than %d, or in a circle", encode_call,
                       JSON_MAX_DEPTH);
        }
        lua_host_check_time(L); /* one table can occur in the text a million times */
        lua_json_is_list(L) ? lua_json_encode_list(L, out, depth)
                            : lua_json_encode_object(L, out, depth);
        break;
    default:
        luaL_error(L, "%s: a %s has no form in JSON", encode_call, luaL_typename(L, -1));
    }
}

static int lua_json_free_output(lua_State *L) {
    buffer_free(lua_touserdata(L, 1));
    return 0;
}

void lua_json_push_text(lua_State *L) {
    struct buffer *out = lua_new_resource(L, sizeof *out, lua_json_free_output);
    lua_insert(L, -2); /* [out, value] */
    lua_json_encode_value(L, out, 0);
    lua_pushlstring(L, out->data, out->len);
    buffer_free(out); /* now, not when it is collected */
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* json.encode(value) -> text. Raises for a value without a JSON form. */
int lua_json_encode(lua_State *L) {
    if (lua_isnone(L, 1)) {
        lua_bad_argument(L, 1, encode_call, "the argument", "a value");
    }
    lua_settop(L, 1);
    lua_json_push_text(L);
    return 1;
}

/* ---- decode ------------------------------------------------------------------------------- */

/* Pushes the value at the cursor. False: the cursor has the error; the caller drops what was
 * pushed.
 */
static bool lua_json_decode_value(lua_State *L, struct json_cursor *cursor);

static void lua_json_push_string(lua_State *L, const struct json_value *value) {
    if (!value->has_escapes) {
        lua_pushlstring(L, value->raw.data, value->raw.len);
        return;
    }
    char *text = lua_newuserdata(L, value->raw.len);
    lua_pushlstring(L, text, json_unescape(value, text));
    lua_remove(L, -2);
}

/* A whole number that a double would round becomes a string of digits. */
static bool lua_json_push_number(lua_State *L, struct json_cursor *cursor,
                                 const struct json_value *value) {
    int64_t integer;
    double number;
    if (!value->is_integer) {
        if (!json_to_double(value, &number)) {
            cursor->error = "a number out of range";
            return false;
        }
        lua_pushnumber(L, number);
    } else if (json_to_int64(value, &integer)) {
        lua_push_integer(L, integer);
    } else {
        lua_pushlstring(L, value->raw.data, value->raw.len);
    }
    return true;
}

static bool lua_json_decode_list(lua_State *L, struct json_cursor *cursor) {
    bool more;
    lua_newtable(L);
    lua_mark_list(L);
    if (!json_enter(cursor)) {
        return false;
    }
    for (int i = 1; json_next_element(cursor, &more); i++) {
        if (!more) {
            return true;
        }
        if (!lua_json_decode_value(L, cursor)) {
            return false;
        }
        lua_rawseti(L, -2, i);
    }
    return false;
}

static bool lua_json_decode_object(lua_State *L, struct json_cursor *cursor) {
    struct json_value key;
    bool more;
    lua_newtable(L);
    if (!json_enter(cursor)) {
        return false;
    }
    while (json_next_member(cursor, &key, &more)) {
        if (!more) {
            return true;
        }
        lua_json_push_string(L, &key);
        if (!lua_json_decode_value(L, cursor)) {
            return false;
        }
        lua_rawset(L, -3); /* of equal keys the last wins, as in the fields of events */
    }
    return false;
}

static bool lua_json_decode_value(lua_State *L, struct json_cursor *cursor) {
    struct json_value value;
    luaL_checkstack(L, 8, "json.decode");
    if (!json_peek(cursor, &value.type)) {
        return false;
    }
    if (value.type == JSON_ARRAY) {
        return lua_json_decode_list(L, cursor);
    }
    if (value.type == JSON_OBJECT) {
        return lua_json_decode_object(L, cursor);
    }
    if (!json_read(cursor, &value)) {
        return false;
    }
    switch (value.type) {
    case JSON_NUMBER:
        return lua_json_push_number(L, cursor, &value);
    case JSON_STRING:
        lua_json_push_string(L, &value);
        return true;
    case JSON_BOOL:
        lua_pushboolean(L, value.boolean);
        return true;
    default:
        lua_pushlightuserdata(L, NULL);
        return true;
    }
}

/* json.decode(text) -> value | nil, { kind = "input", message } */
int lua_json_decode(lua_State *L) {
    struct json_cursor cursor;
    struct err err = {0};
    struct slice text = lua_check_text(L, 1, "json.decode", "the argument");
    if (text.len > LUA_JSON_MAX_BYTES) {
        err_set(&err, ERR_INPUT, "the text is over 16 MiB");
        return lua_push_failure(L, &err);
    }
    json_begin(&cursor, text);
    if (!lua_json_decode_value(L, &cursor) || !json_finish(&cursor)) {
        err_set(&err, ERR_INPUT, "not JSON: %s, at byte %zu", cursor.error,
                json_offset(&cursor) + 1);
        return lua_push_failure(L, &err);
    }
    return 1;
}

/* ---- module ------------------------------------------------------------------------------- */

/* json.array(table) -> the same table, marked: an empty one is written as [] */
static int lua_json_array(lua_State *L) {
    lua_check_table(L, 1, "json.array", "the argument");
    lua_settop(L, 1);
    /* Another metatable would be lost: it makes read-only tables read-only. */
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, LUA_LIST_TYPE);
        if (!lua_rawequal(L, -1, -2)) {
            return luaL_error(L, "json.array: the argument must be a table without a metatable: "
                                 "copy its items into a table of your own");
        }
        lua_settop(L, 1);
    }
    lua_mark_list(L);
    return 1;
}

int luaopen_agg_json(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", lua_json_encode},
                                         {"decode", lua_json_decode},
                                         {"array", lua_json_array},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}

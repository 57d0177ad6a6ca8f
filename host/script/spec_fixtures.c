/* testing.fixtures: the files of spec/fixtures, for specs, which have no io.
 *
 * read(path) -> text            path below spec/fixtures, say "events/batch_registered.json"
 * lines(path) -> list of texts  the lines that are not empty
 * decode(text) -> value         JSON; null is json.null, lists are marked as json.array does
 * load(path) -> value           decode(read(path)), a new one each time
 *
 * testing.sources: what the generation under test was made of.
 *
 * query(name) -> text or nil    of sql/queries/NAME.sql
 * binding(name) -> table or nil the real binding, where a double stands in its place */
#include <errno.h>
#include <stdio.h>

#include "../../bindings/lua_modules.h"
#include "../json_scan.h"
#include "spec_private.h"

#define ROOT "spec/fixtures/"

static int lua_read(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    luaL_argcheck(L, name[0] != '/' && !strstr(name, ".."), 1, "takes a path below " ROOT);
    const char *path = lua_pushfstring(L, ROOT "%s", name);
    FILE *file = fopen(path, "re");
    if (!file) {
        return luaL_error(L, "%s cannot be read: %s", path, strerror(errno));
    }
    struct buffer text = {0};
    size_t got;
    do {
        got = fread(buffer_reserve(&text, 65536), 1, 65536, file);
        text.len += got;
    } while (got > 0);
    fclose(file);
    lua_pushlstring(L, text.data, text.len);
    buffer_free(&text);
    return 1;
}

static int lua_lines(lua_State *L) {
    size_t len;
    int count = 0;
    lua_read(L);
    const char *at = lua_tolstring(L, -1, &len), *end = at + len;
    lua_newtable(L);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop > at) {
            lua_pushlstring(L, at, (size_t)(stop - at));
            lua_rawseti(L, -2, ++count);
        }
        at = stop + 1;
    }
    return 1;
}

static void decode(lua_State *L, struct json_cursor *cursor);

static void push_text(lua_State *L, const struct json_value *value) {
    char *text = lua_newuserdata(L, value->raw.len + 1);
    lua_pushlstring(L, text, json_unescape(value, text));
    lua_remove(L, -2);
}

static void refuse(lua_State *L, const struct json_cursor *cursor) {
    luaL_error(L, "not JSON: %s, at byte %d", cursor->error ? cursor->error : "?",
               (int)json_offset(cursor));
}

static void decode_list(lua_State *L, struct json_cursor *cursor) {
    bool more = false;
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "is_json_array");
    lua_setmetatable(L, -2);
    json_enter(cursor);
    for (int i = 1; json_next_element(cursor, &more) && more; i++) {
        decode(L, cursor);
        lua_rawseti(L, -2, i);
    }
}

static void decode_object(lua_State *L, struct json_cursor *cursor) {
    struct json_value key;
    bool more = false;
    lua_newtable(L);
    json_enter(cursor);
    while (json_next_member(cursor, &key, &more) && more) {
        push_text(L, &key);
        decode(L, cursor);
        lua_rawset(L, -3);
    }
}

static void push_scalar(lua_State *L, const struct json_value *value) {
    double number = 0;
    switch (value->type) {
    case JSON_BOOL:
        lua_pushboolean(L, value->boolean);
        break;
    case JSON_NUMBER:
        json_to_double(value, &number);
        lua_pushnumber(L, number);
        break;
    case JSON_STRING:
        push_text(L, value);
        break;
    default:
        lua_pushlightuserdata(L, NULL);
    }
}

/* Reads one value and leaves it on the stack. */
static void decode(lua_State *L, struct json_cursor *cursor) {
    enum json_type type;
    struct json_value value;
    luaL_checkstack(L, 6, "JSON");
    if (!json_peek(cursor, &type)) {
        refuse(L, cursor);
    } else if (type == JSON_ARRAY) {
        decode_list(L, cursor);
    } else if (type == JSON_OBJECT) {
        decode_object(L, cursor);
    } else if (json_read(cursor, &value)) {
        push_scalar(L, &value);
    }
    if (cursor->error) {
        refuse(L, cursor);
    }
}

static int lua_decode(lua_State *L) {
    struct slice text;
    struct json_cursor cursor;
    text.data = luaL_checklstring(L, 1, &text.len);
    json_begin(&cursor, text);
    decode(L, &cursor);
    if (!json_finish(&cursor)) {
        refuse(L, &cursor);
    }
    return 1;
}

static int lua_load_value(lua_State *L) {
    lua_read(L);
    lua_replace(L, 1);
    lua_settop(L, 1);
    return lua_decode(L);
}

void spec_fixtures_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"read", lua_read},
                                         {"lines", lua_lines},
                                         {"decode", lua_decode},
                                         {"load", lua_load_value},
                                         {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}

static int lua_query(lua_State *L) {
    const char *name = lua_pushfstring(L, "queries/%s", luaL_checkstring(L, 1));
    const struct bundle_file *file = bundle_find(&sandbox_instance(L)->generation->bundle, name);
    if (file) {
        lua_pushlstring(L, file->text, file->len);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int lua_binding(lua_State *L) {
    lua_CFunction open = lua_modules_find(luaL_checkstring(L, 1));
    lua_pushnil(L);
    if (open) {
        lua_pushcfunction(L, open);
        lua_call(L, 0, 1);
    }
    return 1;
}

void spec_sources_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"query", lua_query}, {"binding", lua_binding}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
}

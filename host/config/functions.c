#include "functions.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/regular_file.h"
#include "base/xalloc.h"

#define KEY_FILE_MAX_BYTES 8191

static int functions_lua_env(lua_State *L) {
    const char *value = getenv(luaL_checkstring(L, 1));
    if (value && value[0]) {
        lua_pushstring(L, value);
    } else {
        lua_settop(L, 2);
    }
    return 1;
}

/* Pushes the text of the file without trailing line ends. */
static int functions_push_key_file(lua_State *L, const char *name, const char *path) {
    struct buffer text = {0};
    struct err err = {0};
    bool ok = regular_file_read(AT_FDCWD, path, path, KEY_FILE_MAX_BYTES, &text, &err);
    while (ok && text.len > 0 && strchr("\r\n", text.data[text.len - 1])) {
        text.len--;
    }
    if (ok && text.len == 0) {
        ok = err_set(&err, ERR_INPUT, "%s is empty", path);
    }
    if (ok) {
        lua_pushlstring(L, text.data, text.len);
        explicit_bzero(text.data, text.cap);
    }
    buffer_free(&text);
    return ok ? 1 : luaL_error(L, "%s_FILE names %s", name, err.text);
}

static void functions_note_file(lua_State *L, const char *path) {
    struct config_strings *files = lua_touserdata(L, lua_upvalueindex(1));
    files->items = xrealloc(files->items, (files->count + 1) * sizeof *files->items);
    files->items[files->count++] = xstrdup(path);
}

static int functions_lua_env_or_file(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const char *value = getenv(name);
    if (value && value[0]) {
        lua_pushstring(L, value);
        return 1;
    }
    const char *path = getenv(lua_pushfstring(L, "%s_FILE", name));
    if (!path || !path[0]) {
        return 0;
    }
    functions_note_file(L, path);
    return functions_push_key_file(L, name, path);
}

/* Appends the strings of a JSON list to the table at the top. */
static bool functions_push_json_items(lua_State *L, struct slice text) {
    struct json_cursor cursor;
    struct json_value item;
    bool more;
    json_begin(&cursor, text);
    if (!json_enter(&cursor)) {
        return false;
    }
    for (int count = 0; json_next_element(&cursor, &more);) {
        if (!more) {
            return json_finish(&cursor);
        }
        if (!json_read(&cursor, &item) || item.type != JSON_STRING) {
            return false;
        }
        char *plain = lua_newuserdata(L, item.raw.len + 1);
        lua_pushlstring(L, plain, json_unescape(&item, plain));
        lua_rawseti(L, -3, ++count);
        lua_pop(L, 1);
    }
    return false;
}

/* Trims the items and leaves out empty ones. */
static int functions_lua_list(lua_State *L) {
    static const char blanks[] = " \t\r\n";
    const char *at = luaL_optstring(L, 1, "");
    int count = 0;
    lua_newtable(L);
    at += strspn(at, blanks);
    if (*at == '[') {
        return functions_push_json_items(L, slice_of(at))
                   ? 1
                   : luaL_error(L, "a list that begins with [ must be a JSON list of strings");
    }
    while (*at) {
        size_t len = strcspn(at, ",");
        const char *next = at + len + (at[len] == ',');
        at += strspn(at, blanks);
        len = strcspn(at, ",");
        while (len > 0 && strchr(blanks, at[len - 1])) {
            len--;
        }
        if (len > 0) {
            lua_pushlstring(L, at, len);
            lua_rawseti(L, -2, ++count);
        }
        at = next;
    }
    return 1;
}

void config_functions_register(lua_State *L, struct config_strings *files) {
    lua_register(L, "env", functions_lua_env);
    lua_pushlightuserdata(L, files);
    lua_pushcclosure(L, functions_lua_env_or_file, 1);
    lua_setglobal(L, "env_or_file");
    lua_register(L, "list", functions_lua_list);
}

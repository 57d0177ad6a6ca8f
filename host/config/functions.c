/* functions: env, env_or_file and list. */
#include "functions.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/json_scan.h"

/* env(name, default): the variable where it is set and not empty, else the default. */
static int lua_env(lua_State *L) {
    const char *value = getenv(luaL_checkstring(L, 1));
    if (value && value[0]) {
        lua_pushstring(L, value);
    } else {
        lua_settop(L, 2);
    }
    return 1;
}

/* env_or_file(name): the variable, or the contents of the file that NAME_FILE names, or nil. */
static int lua_env_or_file(lua_State *L) {
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
    char text[8192];
    FILE *file = fopen(path, "re");
    if (!file) {
        return luaL_error(L, "%s_FILE names %s, which cannot be read: %s", name, path,
                          strerror(errno));
    }
    size_t len = fread(text, 1, sizeof text, file);
    bool failed = ferror(file);
    fclose(file);
    if (failed || len == sizeof text) {
        return luaL_error(L, "%s_FILE names %s, which %s", name, path,
                          failed ? "cannot be read" : "holds 8 KiB or more");
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    if (len == 0) {
        return luaL_error(L, "%s_FILE names %s, which is empty", name, path);
    }
    lua_pushlstring(L, text, len);
    return 1;
}

/* The strings of a JSON list, onto the table at the top. */
static bool push_json_items(lua_State *L, struct slice text) {
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

/* list(text): the items of a comma-separated list, without the blanks around them, or of a JSON
 * list of strings. Empty items are left out. */
static int lua_list(lua_State *L) {
    static const char blanks[] = " \t\r\n";
    const char *at = luaL_optstring(L, 1, "");
    int count = 0;
    lua_newtable(L);
    at += strspn(at, blanks);
    if (*at == '[') {
        return push_json_items(L, slice_of(at))
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

void config_functions_register(lua_State *L) {
    lua_register(L, "env", lua_env);
    lua_register(L, "env_or_file", lua_env_or_file);
    lua_register(L, "list", lua_list);
}

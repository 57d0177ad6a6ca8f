#include "functions.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular_file.h"
#include "base/terminal.h"
#include "base/xalloc.h"
#include "bindings/lua_json.h"

#define KEY_FILE_MAX_BYTES 8191

static struct config_reader *functions_reader(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The line of the main chunk that is running, which a function of the file may have left. */
static int functions_main_line(lua_State *L) {
    lua_Debug at;
    int line = 0;
    for (int level = 1; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        line = strcmp(at.what, "main") == 0 ? at.currentline : line;
    }
    return line;
}

/* Notes a problem at the line that runs, so that the rest of the file is checked, too. */
static void functions_complain(lua_State *L, struct config_reader *reader, const char *name,
                               const char *what) {
    int line = functions_main_line(L);
    const char *file = line > 0 ? reader->layers[reader->layer_count - 1].path : "";
    problems_add(&reader->problems, file, line, "%s_FILE: %s", name, what);
}

/* Pushes the text of the file without trailing line ends. False: a problem is noted. */
static bool functions_push_key_file(lua_State *L, struct config_reader *reader, const char *name,
                                    const char *path) {
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
    } else {
        functions_complain(L, reader, name, err.text);
    }
    buffer_free(&text);
    return ok;
}

static void functions_note_read(lua_State *L, const char *variable, const char *value) {
    struct config_reader *reader = functions_reader(L);
    reader->reads = xrealloc(reader->reads, (reader->read_count + 1) * sizeof *reader->reads);
    reader->reads[reader->read_count++] = (struct config_read){
        xstrdup(variable), xstrdup(value), reader->layer_count - 1, functions_main_line(L)};
}

/* Raises with the place of the call, as far as it is known: a tail call has left the chunk. */
static int functions_refuse(lua_State *L, const char *function, const char *what) {
    const struct config_reader *reader = functions_reader(L);
    luaL_where(L, 1);
    if (lua_tostring(L, -1)[0] == '\0') {
        lua_pushfstring(L, "%s: ", reader->layers[reader->layer_count - 1].path);
    }
    lua_pushfstring(L, "%s: %s", function, what);
    lua_concat(L, 2);
    return lua_error(L);
}

/* The first argument. */
static const char *functions_check_text(lua_State *L, const char *function) {
    if (!lua_isstring(L, 1)) {
        functions_refuse(L, function,
                         lua_pushfstring(L, "must be given a text, not %s", luaL_typename(L, 1)));
    }
    return lua_tostring(L, 1);
}

static int functions_lua_env(lua_State *L) {
    const char *name = functions_check_text(L, "env"), *value = getenv(name);
    if (value && value[0]) {
        functions_note_read(L, name, value);
        lua_pushstring(L, value);
    } else {
        lua_settop(L, 2);
    }
    return 1;
}

bool config_push_secret(lua_State *L, struct config_reader *reader, const char *name) {
    const char *value = getenv(name);
    if (value && value[0]) {
        lua_pushstring(L, value);
        return true;
    }
    const char *path = getenv(lua_pushfstring(L, "%s_FILE", name));
    lua_pop(L, 1);
    if (!path || !path[0]) {
        return false;
    }
    config_strings_add(&reader->config->secret_files, path);
    return functions_push_key_file(L, reader, name, path);
}

static int functions_lua_env_or_file(lua_State *L) {
    const char *name = functions_check_text(L, "env_or_file"), *value = getenv(name);
    bool by_file = !value || !value[0];
    lua_settop(L, 2); /* the name and the default */
    if (config_push_secret(L, functions_reader(L), name)) {
        functions_note_read(L, by_file ? lua_pushfstring(L, "%s_FILE", name) : name,
                            lua_tostring(L, 3));
        lua_settop(L, 3);
    }
    return 1;
}

#define BLANKS " \t\r\n"

/* Pushes the table of a JSON text; false: pushes another value. */
static bool functions_push_json(lua_State *L, const char *text) {
    lua_pushcfunction(L, lua_json_decode);
    lua_pushstring(L, text);
    return lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1);
}

static bool functions_push_json_list(lua_State *L, const char *text) {
    bool good = functions_push_json(L, text);
    for (size_t i = 1; good && i <= lua_objlen(L, -1); i++) {
        lua_rawgeti(L, -1, (int)i);
        good = lua_type(L, -1) == LUA_TSTRING;
        lua_pop(L, 1);
    }
    return good;
}

static void functions_push_trimmed(lua_State *L, const char *text, size_t len) {
    size_t from = strspn(text, BLANKS);
    from = from < len ? from : len;
    while (len > from && strchr(BLANKS, text[len - 1])) {
        len--;
    }
    lua_pushlstring(L, text + from, len - from);
}

/* Leaves out empty items. */
bool config_push_list(lua_State *L, const char *at) {
    int count = 0;
    at += strspn(at, BLANKS);
    if (*at == '[') {
        return functions_push_json_list(L, at);
    }
    lua_newtable(L);
    while (*at) {
        size_t len = strcspn(at, ",");
        if (strspn(at, BLANKS) < len) {
            functions_push_trimmed(L, at, len);
            lua_rawseti(L, -2, ++count);
        }
        at += len + (at[len] == ',');
    }
    return true;
}

/* Appends the entry "name=value" to the table at the top. */
static bool functions_push_pair(lua_State *L, const char *entry, size_t len) {
    const char *equals = memchr(entry, '=', len);
    if (!equals || equals == entry) {
        return false;
    }
    functions_push_trimmed(L, entry, (size_t)(equals - entry));
    functions_push_trimmed(L, equals + 1, len - (size_t)(equals + 1 - entry));
    lua_rawset(L, -3);
    return true;
}

bool config_push_map(lua_State *L, const char *at) {
    bool good = true;
    at += strspn(at, BLANKS);
    if (*at == '{') {
        return functions_push_json(L, at);
    }
    lua_newtable(L);
    while (*at && good) {
        size_t len = strcspn(at, ",");
        good = strspn(at, BLANKS) >= len || functions_push_pair(L, at, len);
        at += len + (at[len] == ',');
    }
    return good;
}

/* A second text is a slip, and would be lost; gsub gives a count beside its text. */
static int functions_lua_list(lua_State *L) {
    const char *text = lua_isnoneornil(L, 1) ? "" : functions_check_text(L, "list");
    if (lua_gettop(L) > 1 && !lua_isnil(L, 2) && lua_type(L, 2) != LUA_TNUMBER) {
        return functions_refuse(L, "list", "takes one text: write list(\"a, b\")");
    }
    return config_push_list(L, text) ? 1 : functions_refuse(L, "list", CONFIG_LIST_RULE);
}

/* print(…) to standard error, with the line: standard output is the command's. */
static int functions_lua_print(lua_State *L) {
    int count = lua_gettop(L);
    struct slice text;
    luaL_checkstack(L, 2 * count + 4, "print");
    luaL_where(L, 1);
    for (int i = 1; i <= count; i++) {
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        if (!lua_isstring(L, -1)) {
            return functions_refuse(L, "print", "`__tostring` returned no text");
        }
        lua_pushstring(L, i < count ? "\t" : "");
    }
    lua_pushliteral(L, "\n");
    lua_concat(L, 2 * count + 2);
    text.data = lua_tolstring(L, -1, &text.len);
    (void)terminal_print(stderr, text); /* nobody can be told */
    return 0;
}

void config_functions_register(struct config_reader *reader) {
    static const luaL_Reg functions[] = {{"env", functions_lua_env},
                                         {"env_or_file", functions_lua_env_or_file},
                                         {"list", functions_lua_list},
                                         {"print", functions_lua_print}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushlightuserdata(reader->L, reader);
        lua_pushcclosure(reader->L, functions[i].func, 1);
        lua_setglobal(reader->L, functions[i].name);
    }
}

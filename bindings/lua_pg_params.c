/* lua_pg_params: values of scripts as parameters: text, whose type the query sets by a cast or its
 * use; bytea is sent in binary. */
#include "base/nearest.h"
#include "lua_names.h"
#include "lua_pg.h"

#define MAX_LIST_BYTES (16 * 1024 * 1024)
#define BYTES_TYPE "aggregator.pg.bytes"

static const char expected[] = "a string, number, boolean, list, pg.bytes(…) or json.null";
static const char expected_item[] = "a string, number, boolean or json.null";

int lua_pg_bytes(lua_State *L) {
    struct slice bytes = lua_check_text(L, 1, "pg.bytes", "the argument");
    memcpy(lua_newuserdata(L, bytes.len + 1), bytes.data, bytes.len + 1);
    luaL_newmetatable(L, BYTES_TYPE);
    lua_setmetatable(L, -2);
    return 1;
}

/* The text of the scalar at `at`, formatted into `number`; data NULL: not a scalar. */
static struct slice lua_pg_params_scalar_text(lua_State *L, int at,
                                              char number[LUA_NUMBER_TEXT_CAP]) {
    struct slice text = {0};
    switch (lua_type(L, at)) {
    case LUA_TBOOLEAN:
        return slice_of(lua_toboolean(L, at) ? "true" : "false");
    case LUA_TNUMBER:
        return slice_of(lua_format_number(lua_tonumber(L, at), number));
    case LUA_TSTRING:
        text.data = lua_tolstring(L, at, &text.len);
        return text;
    default:
        return text;
    }
}

static bool lua_pg_params_refuse_text(struct err *err, const char *name, const char *problem) {
    err_set(err, ERR_INPUT, "parameter \"%s\" %s", name, problem);
    memcpy(err->sqlstate, "22021", sizeof err->sqlstate); /* as the server would set it */
    return false;
}

static void lua_pg_params_append_item(struct buffer *list, struct slice text) {
    buffer_append(list, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_append(list, "\\", 1);
        }
        buffer_append(list, &text.data[i], 1);
    }
    buffer_append(list, "\"", 1);
}

/* Writes the list at `at` as an array literal, whose type the query sets. */
static bool lua_pg_params_write_list(lua_State *L, int at, const char *call, const char *name,
                                     struct buffer *list, struct err *err) {
    const char *what = lua_pushfstring(L, "parameter \"%s\"", name);
    int count = lua_check_list(L, at, call, what);
    buffer_clear(list);
    buffer_append(list, "{", 1);
    for (int i = 1; i <= count; i++) {
        char number[LUA_NUMBER_TEXT_CAP];
        lua_rawgeti(L, at, i);
        struct slice text = lua_pg_params_scalar_text(L, lua_gettop(L), number);
        const char *problem = text.data ? lua_text_problem(text) : NULL;
        if (problem) {
            return lua_pg_params_refuse_text(err, name, problem);
        }
        if (list->len + text.len > MAX_LIST_BYTES) { /* one text can occur often */
            luaL_error(L, "%s: %s has over %d MiB: send fewer items", call, what,
                       MAX_LIST_BYTES / (1024 * 1024));
        }
        buffer_append_text(list, i > 1 ? "," : "");
        if (text.data) {
            lua_pg_params_append_item(list, text);
        } else if (lua_islightuserdata(L, -1)) {
            buffer_append_text(list, "NULL");
        } else {
            what = lua_pushfstring(L, "item %d of parameter \"%s\"", i, name);
            lua_bad_argument(L, lua_gettop(L) - 1, call, what, expected_item);
        }
        lua_pop(L, 1);
    }
    buffer_append(list, "}", 1);
    return true;
}

/* Adds the value at the top of the stack, which stays. */
static bool lua_pg_params_add(lua_State *L, const char *call, const char *name,
                              struct pg_params *params, struct buffer *list, struct err *err) {
    int at = lua_gettop(L);
    char number[LUA_NUMBER_TEXT_CAP];
    struct slice text = lua_pg_params_scalar_text(L, at, number);
    if (text.data) {
        const char *problem = lua_text_problem(text);
        if (problem) {
            return lua_pg_params_refuse_text(err, name, problem);
        }
        pg_params_add_text(params, text);
    } else if (lua_islightuserdata(L, at)) {
        pg_params_add_null(params);
    } else if (lua_istable(L, at)) {
        if (!lua_pg_params_write_list(L, at, call, name, list, err)) {
            return false;
        }
        pg_params_add_text(params, buffer_slice(list));
    } else if (luaL_testudata(L, at, BYTES_TYPE)) {
        struct slice bytes = {lua_touserdata(L, at), lua_objlen(L, at) - 1};
        pg_params_add_bytea(params, bytes);
    } else {
        lua_bad_argument(L, at, call, lua_pushfstring(L, "parameter \"%s\"", name), expected);
    }
    return true;
}

static void lua_pg_params_check_names(lua_State *L, int at, const char *call,
                                      const struct lua_pg_query *query) {
    const struct pg_named *named = &query->named;
    char hint[NEAREST_HINT_CAP];
    const char *const *names = (const char *const *)named->names;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_bad_argument(L, lua_gettop(L) - 1, call, "the name of a parameter", "a string");
        }
    }
    const char *unknown = lua_names_unknown(L, at, names, named->count);
    if (unknown && named->count == 0) {
        luaL_error(L, "%s: \"%s\" has no parameters, got \"%s\" (sql/queries/%s.sql)", call,
                   query->name, unknown, query->name);
    } else if (unknown) {
        luaL_error(L, "%s: \"%s\" has no parameter \"%s\": %s (sql/queries/%s.sql)", call,
                   query->name, unknown, nearest_hint(hint, unknown, names, named->count),
                   query->name);
    }
}

bool lua_pg_read_params(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        struct pg_params *params, struct buffer *list, struct err *err) {
    int top = lua_gettop(L);
    bool given = !lua_isnoneornil(L, at);
    if (given) {
        lua_check_table(L, at, call, "params");
        lua_pg_params_check_names(L, at, call, query);
    }
    pg_params_reset(params);
    for (size_t i = 0; i < query->named.count; i++) {
        if (given) {
            lua_getfield(L, at, query->named.names[i]);
        } else {
            lua_pushnil(L);
        }
        if (lua_isnil(L, -1)) {
            /* NULL would switch off a filter such as `:name IS NULL OR …`. */
            return luaL_error(L,
                              "%s: parameter \"%s\" of \"%s\" is not given: give it a value, or "
                              "json.null where NULL is meant (sql/queries/%s.sql)",
                              call, query->named.names[i], query->name, query->name);
        }
        bool ok = lua_pg_params_add(L, call, query->named.names[i], params, list, err);
        lua_settop(L, top);
        if (!ok) {
            return err_wrap(err, "%s", query->name);
        }
    }
    return true;
}

/* Whether the server's message quotes the text: invalid input syntax for type uuid: "true". */
static bool lua_pg_params_quotes(const char *message, struct slice text) {
    for (const char *at = strchr(message, '"'); text.data && at; at = strchr(at + 1, '"')) {
        if (strncmp(at + 1, text.data, text.len) == 0 && at[1 + text.len] == '"') {
            return true;
        }
    }
    return false;
}

/* A string may come from the client in the wrong form. A number, a boolean, a list, or a string for
 * a list, is an error of the script. */
static bool lua_pg_params_is_script_error(lua_State *L, const struct err *err) {
    char number[LUA_NUMBER_TEXT_CAP];
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        return strstr(err->text, "malformed array literal") &&
               lua_pg_params_quotes(err->text, lua_pg_params_scalar_text(L, lua_gettop(L), number));
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
        return lua_pg_params_quotes(err->text, lua_pg_params_scalar_text(L, lua_gettop(L), number));
    case LUA_TTABLE:
        return strstr(err->text, ": \"{") != NULL;
    default:
        return false;
    }
}

void lua_pg_check_types(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        const struct err *err) {
    if (strcmp(err->sqlstate, "22P02") != 0 || !lua_istable(L, at)) {
        return;
    }
    for (size_t i = 0; i < query->named.count; i++) {
        lua_getfield(L, at, query->named.names[i]);
        if (lua_pg_params_is_script_error(L, err)) {
            luaL_error(L,
                       "%s: parameter \"%s\" of \"%s\" is a %s, which its type does not take: %s",
                       call, query->named.names[i], query->name, luaL_typename(L, -1), err->text);
        }
        lua_pop(L, 1);
    }
}

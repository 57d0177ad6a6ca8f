/* pg for scripts: named queries of sql/queries/. One connection a Lua state, opened at first use;
 * every call ends within the statement timeout. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../host/config.h"
#include "../host/script/script_private.h"
#include "../host/xalloc.h"
#include "lua_modules.h"
#include "pg.h"

#define CONNECTION_TYPE "aggregator.pg"
#define MAX_PARAMETERS 32

/* A query with :name rewritten to $n. Kept for the life of the connection. */
struct query {
    struct query *next;
    char *name;
    char *sql;
    char *parameters[MAX_PARAMETERS];
    size_t parameter_count;
};

struct connection {
    struct pg *pg;
    struct pg_params *params;
    struct query *queries;
    PGresult *result; /* here, so that an error while pushing rows cannot leak it */
    int timeout_ms;
};

static int close_connection(lua_State *L) {
    struct connection *connection = lua_touserdata(L, 1);
    for (struct query *query = connection->queries, *next; query; query = next) {
        next = query->next;
        for (size_t i = 0; i < query->parameter_count; i++) {
            free(query->parameters[i]);
        }
        free(query->name);
        free(query->sql);
        free(query);
    }
    PQclear(connection->result);
    if (connection->pg) {
        pg_destroy(connection->pg);
        pg_params_destroy(connection->params);
    }
    *connection = (struct connection){0};
    return 0;
}

/* ---- the query's text --------------------------------------------------------------------- */

static size_t parameter_number(struct query *query, const char *name, size_t len) {
    for (size_t i = 0; i < query->parameter_count; i++) {
        if (strlen(query->parameters[i]) == len && memcmp(query->parameters[i], name, len) == 0) {
            return i + 1;
        }
    }
    if (query->parameter_count == MAX_PARAMETERS) {
        return 0;
    }
    query->parameters[query->parameter_count] = xstrndup(name, len);
    return ++query->parameter_count;
}

/* Text in quotes, comments and :: casts stay as they are. */
static size_t plain_length(const char *at) {
    if (at[0] == ':' && at[1] == ':') {
        return 2;
    }
    if (at[0] == '-' && at[1] == '-') {
        return strcspn(at, "\n");
    }
    if (at[0] == '\'' || at[0] == '"') {
        const char *end = strchr(at + 1, at[0]);
        return end ? (size_t)(end - at) + 1 : strlen(at);
    }
    return at[0] == ':' ? 0 : 1;
}

static void rewrite(struct query *query, const char *text) {
    struct buffer sql = {0};
    for (const char *at = text; *at;) {
        size_t len = plain_length(at);
        size_t name = len ? 0 : strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
        if (len == 0 && name > 0) {
            buffer_append_format(&sql, "$%zu", parameter_number(query, at + 1, name));
            at += name + 1;
        } else {
            buffer_append(&sql, at, len ? len : 1);
            at += len ? len : 1;
        }
    }
    query->sql = sql.data ? sql.data : xstrdup("");
}

static struct query *find_query(lua_State *L, struct connection *connection, const char *name) {
    for (struct query *query = connection->queries; query; query = query->next) {
        if (strcmp(query->name, name) == 0) {
            return query;
        }
    }
    char path[256];
    snprintf(path, sizeof path, "queries/%s", name);
    const struct bundle_file *file = bundle_find(lua_modules_bundle(L), path);
    if (!file) {
        luaL_error(L, "pg: no query \"%s\": it would be sql/queries/%s.sql", name, name);
        return NULL;
    }
    struct query *query = xcalloc(1, sizeof *query);
    query->name = xstrdup(name);
    rewrite(query, file->text);
    query->next = connection->queries;
    return connection->queries = query;
}

/* ---- parameters --------------------------------------------------------------------------- */

/* A Lua list as the literal of a Postgres array of text; left on the stack. */
static const char *list_literal(lua_State *L, int at, size_t *len) {
    luaL_Buffer out;
    int count = (int)lua_objlen(L, at);
    luaL_buffinit(L, &out);
    luaL_addchar(&out, '{');
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, at, i);
        size_t item_len;
        const char *item = lua_tolstring(L, -1, &item_len);
        lua_pop(L, 1); /* the list still holds it */
        luaL_addstring(&out, i > 1 ? ",\"" : "\"");
        for (size_t c = 0; item && c < item_len; c++) {
            if (item[c] == '"' || item[c] == '\\') {
                luaL_addchar(&out, '\\');
            }
            luaL_addchar(&out, item[c]);
        }
        luaL_addchar(&out, '"');
    }
    luaL_addchar(&out, '}');
    luaL_pushresult(&out);
    return lua_tolstring(L, -1, len);
}

static void add_parameter(lua_State *L, struct connection *connection, const char *name) {
    size_t len;
    const char *text;
    lua_getfield(L, 2, name);
    int at = lua_gettop(L);
    switch (lua_type(L, at)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        pg_params_add_null(connection->params);
        break;
    case LUA_TBOOLEAN:
        pg_params_add_text(connection->params, slice_of(lua_toboolean(L, at) ? "true" : "false"));
        break;
    case LUA_TNUMBER:
    case LUA_TSTRING:
        text = lua_tolstring(L, at, &len);
        pg_params_add_text(connection->params, (struct slice){text, len});
        break;
    case LUA_TTABLE:
        text = list_literal(L, at, &len);
        pg_params_add_text(connection->params, (struct slice){text, len});
        break;
    default:
        luaL_error(L, "pg: parameter \"%s\" is a %s", name, luaL_typename(L, at));
    }
    lua_settop(L, at - 1);
}

/* ---- results ------------------------------------------------------------------------------ */

enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT4 = 23, OID_FLOAT8 = 701, OID_TEXT_ARRAY = 1009 };

/* {a,"b c",NULL} of one dimension, as a list of strings; NULL items are left out. */
static void push_text_array(lua_State *L, const char *at) {
    int count = 0;
    lua_newtable(L);
    for (at++; *at && *at != '}';) {
        luaL_Buffer item;
        bool quoted = *at == '"';
        luaL_buffinit(L, &item);
        at += quoted;
        while (*at && (quoted ? *at != '"' : *at != ',' && *at != '}')) {
            at += *at == '\\' && at[1];
            luaL_addchar(&item, *at++);
        }
        luaL_pushresult(&item);
        bool null = !quoted && strcmp(lua_tostring(L, -1), "NULL") == 0;
        if (null) {
            lua_pop(L, 1);
        } else {
            lua_rawseti(L, -2, ++count);
        }
        at += quoted && *at == '"';
        at += *at == ',';
    }
}

static void push_value(lua_State *L, const PGresult *result, int row, int column) {
    const char *text = PQgetvalue(result, row, column);
    int len = PQgetlength(result, row, column);
    if (PQgetisnull(result, row, column)) {
        lua_pushnil(L);
        return;
    }
    switch (PQftype(result, column)) {
    case OID_BOOL:
        lua_pushboolean(L, text[0] == 't');
        break;
    case OID_INT4:
    case OID_FLOAT8:
        lua_pushnumber(L, strtod(text, NULL));
        break;
    case OID_INT8: {
        long long number = strtoll(text, NULL, 10);
        if (number > -9007199254740992 && number < 9007199254740992) {
            lua_pushnumber(L, (lua_Number)number);
        } else {
            lua_pushlstring(L, text, (size_t)len);
        }
        break;
    }
    case OID_TEXT_ARRAY:
        push_text_array(L, text);
        break;
    default:
        lua_pushlstring(L, text, (size_t)len);
    }
}

static void push_rows(lua_State *L, const PGresult *result) {
    int rows = PQntuples(result), columns = PQnfields(result);
    lua_createtable(L, rows, 0);
    for (int row = 0; row < rows; row++) {
        lua_createtable(L, 0, columns);
        for (int column = 0; column < columns; column++) {
            push_value(L, result, row, column);
            lua_setfield(L, -2, PQfname(result, column));
        }
        lua_rawseti(L, -2, row + 1);
    }
}

static int push_failure(lua_State *L, const struct err *err) {
    lua_pushnil(L);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, err_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->text);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, err->sqlstate);
    lua_setfield(L, -2, "sqlstate");
    return 2;
}

/* pg.query(name, params) -> rows | nil, { kind, message, sqlstate } */
static int lua_query(lua_State *L) {
    struct connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    const char *name = luaL_checkstring(L, 1);
    struct err err = {0};
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    struct query *query = find_query(L, connection, name);
    pg_params_reset(connection->params);
    for (size_t i = 0; i < query->parameter_count; i++) {
        add_parameter(L, connection, query->parameters[i]);
    }
    PQclear(connection->result);
    connection->result = NULL;
    if (!pg_connect(connection->pg, &err) ||
        !pg_query(connection->pg, query->name, query->sql, connection->params,
                  connection->timeout_ms, &connection->result, &err)) {
        return push_failure(L, &err);
    }
    push_rows(L, connection->result);
    PQclear(connection->result);
    connection->result = NULL;
    return 1;
}

int luaopen_agg_pg(lua_State *L) {
    const struct config *config = lua_modules_config(L);
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator scripts",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = config->postgres.statement_timeout_ms,
    };
    lua_newtable(L);
    struct connection *connection = lua_newuserdata(L, sizeof *connection);
    *connection = (struct connection){.timeout_ms = options.statement_timeout_ms + 1000};
    if (luaL_newmetatable(L, CONNECTION_TYPE)) {
        lua_pushcfunction(L, close_connection);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    connection->pg = pg_create(&options);
    connection->params = pg_params_create();
    lua_pushcclosure(L, lua_query, 1);
    lua_setfield(L, -2, "query");
    return 1;
}

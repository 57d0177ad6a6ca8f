/* lua_pg_rows: results of Postgres, in text form, as values of scripts. */
#include <libpq-fe.h>
#include <stdlib.h>

#include "base/hex.h"
#include "lua_names.h"
#include "lua_pg.h"

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701
};

static const struct {
    Oid array;
    Oid element;
} array_types[] = {
    {1000, OID_BOOL},   {1001, OID_BYTEA},  {1016, OID_INT8}, {1005, OID_INT2},
    {1007, OID_INT4},   {1009, OID_TEXT},   {1015, OID_TEXT}, /* varchar */
    {1021, OID_FLOAT4}, {1022, OID_FLOAT8}, {1231, OID_TEXT}, /* numeric */
    {2951, OID_TEXT},                                         /* uuid */
    {1182, OID_TEXT},                                         /* date */
};

static Oid lua_pg_rows_element_of(Oid type) {
    for (size_t i = 0; i < sizeof array_types / sizeof *array_types; i++) {
        if (array_types[i].array == type) {
            return array_types[i].element;
        }
    }
    return 0;
}

/* \x and two digits a byte: pg_connect sets bytea_output. */
static void lua_pg_rows_push_bytea(lua_State *L, struct slice text) {
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 2; i + 1 < text.len; i += 2) {
        luaL_addchar(&out, (char)hex_byte(text.data + i));
    }
    luaL_pushresult(&out);
}

static void lua_pg_rows_push_scalar(lua_State *L, Oid type, struct slice text) {
    switch (type) {
    case OID_BOOL:
        lua_pushboolean(L, text.data[0] == 't');
        break;
    case OID_INT2:
    case OID_INT4:
    case OID_FLOAT4:
    case OID_FLOAT8:
        lua_pushnumber(L, strtod(text.data, NULL));
        break;
    case OID_INT8:
        lua_push_integer(L, strtoll(text.data, NULL, 10));
        break;
    case OID_BYTEA:
        lua_pg_rows_push_bytea(L, text);
        break;
    default:
        lua_pushlstring(L, text.data, text.len);
    }
}

/* Pushes the item of an array literal at `at`; returns where it ends. */
static const char *lua_pg_rows_push_item(lua_State *L, const char *at, Oid element) {
    luaL_Buffer item;
    struct slice text;
    bool quoted = *at == '"';
    luaL_buffinit(L, &item);
    for (at += quoted; *at && (quoted ? *at != '"' : *at != ',' && *at != '}'); at++) {
        at += *at == '\\' && at[1];
        luaL_addchar(&item, *at);
    }
    luaL_pushresult(&item);
    text.data = lua_tolstring(L, -1, &text.len);
    if (!quoted && strcmp(text.data, "NULL") == 0) {
        lua_pushlightuserdata(L, NULL);
    } else {
        lua_pg_rows_push_scalar(L, element, text);
    }
    lua_remove(L, -2);
    return at + (quoted && *at);
}

/* Pushes {a,"b c",NULL} as a list, of lists where it has more dimensions; `at` is the bracket.
 * Postgres allows six dimensions. */
static const char *lua_pg_rows_push_array(lua_State *L, const char *at, Oid element) {
    luaL_checkstack(L, 8, "pg");
    lua_newtable(L);
    lua_mark_list(L);
    at++;
    for (int count = 1; *at && *at != '}'; count++) {
        at = *at == '{' ? lua_pg_rows_push_array(L, at, element)
                        : lua_pg_rows_push_item(L, at, element);
        lua_rawseti(L, -2, count);
        at += *at == ',';
    }
    return at + (*at == '}');
}

void lua_pg_push_list(lua_State *L, const char *literal, enum lua_pg_items items) {
    static const Oid types[] = {
        [LUA_PG_TEXTS] = OID_TEXT, [LUA_PG_DOUBLES] = OID_FLOAT8, [LUA_PG_BIGINTS] = OID_INT8};
    lua_pg_rows_push_array(L, literal, types[items]);
}

static void lua_pg_rows_push_value(lua_State *L, const PGresult *result, int row, int column) {
    struct slice text = {PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
    Oid type = PQftype(result, column);
    Oid element = lua_pg_rows_element_of(type);
    if (PQgetisnull(result, row, column)) {
        lua_pushnil(L);
    } else if (element) {
        lua_pg_rows_push_array(L, strchr(text.data, '{'),
                               element); /* bounds may stand before: [0:1]={a,b} */
    } else {
        lua_pg_rows_push_scalar(L, type, text);
    }
}

static void lua_pg_rows_check_columns(lua_State *L, const char *call, const char *query,
                                      const PGresult *result) {
    int columns = PQnfields(result);
    for (int i = 1; i < columns; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(PQfname(result, i), PQfname(result, j)) == 0) {
                luaL_error(L, "%s: \"%s\" returns two columns named \"%s\"", call, query,
                           PQfname(result, i));
            }
        }
    }
}

/* Pushes the metatable of rows: reading a column that the query does not return is an error. */
static void lua_pg_rows_push_column_names(lua_State *L, const char *query, const PGresult *result) {
    int columns = PQnfields(result);
    lua_createtable(L, 0, columns);
    for (int i = 0; i < columns; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, PQfname(result, i));
    }
    const char *place = lua_pushfstring(L, "sql/queries/%s.sql", query);
    lua_insert(L, -2);
    lua_names_push_strict(L, "the row", "column ", place);
    lua_remove(L, -2);
}

void lua_pg_push_rows(lua_State *L, const char *call, const char *query, const PGresult *result) {
    int rows = PQntuples(result), columns = PQnfields(result);
    lua_pg_rows_check_columns(L, call, query, result);
    lua_pg_rows_push_column_names(L, query, result);
    lua_createtable(L, rows, columns ? 0 : 1);
    lua_mark_list(L); /* [names, rows] */
    for (int row = 0; row < rows; row++) {
        lua_createtable(L, 0, columns);
        for (int column = 0; column < columns; column++) {
            lua_pg_rows_push_value(L, result, row, column);
            lua_setfield(L, -2, PQfname(result, column));
        }
        lua_pushvalue(L, -3);
        lua_setmetatable(L, -2);
        lua_rawseti(L, -2, row + 1);
    }
    lua_remove(L, -2);
    if (columns == 0) { /* a statement without rows returns the number of changed rows */
        lua_pushnumber(L, strtod(PQcmdTuples((PGresult *)result), NULL));
        lua_setfield(L, -2, "affected");
    }
}

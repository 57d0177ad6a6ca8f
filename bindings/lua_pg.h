/* lua_pg: converts values between Lua and Postgres, for the pg binding and for specs. */
#pragma once

#include "lua_util.h"
#include "pg.h"
#include "pg_named.h"

/* A file of sql/queries. Kept for the life of the connection. */
struct lua_pg_query {
    struct lua_pg_query *next;
    char *name;
    struct pg_named named;
    char *cursor_sql; /* declares the cursor of pg.each; NULL until it is used */
};

/* Fills `params` from the table at `at` (nil: none); `list` is scratch. Raises for an invalid or
 * missing parameter; false + err for text that Postgres cannot store. */
bool lua_pg_read_params(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        struct pg_params *params, struct buffer *list, struct err *err);

/* After a failed statement: raises if Postgres refused a value whose type the script chose, so that
 * the client does not get a 400 for an error of the script. */
void lua_pg_check_types(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        const struct err *err);

/* pg.bytes(text): marks a string as bytea. */
int lua_pg_bytes(lua_State *L);

/* Pushes the list of rows. Raises if two columns have one name. */
void lua_pg_push_rows(lua_State *L, const char *call, const char *query,
                      const struct pg_result *result);
/* Pushes an array literal, {"a","b c",NULL}, as a list of strings, of numbers, or of numbers that
 * past 2^53 are digits. */
enum lua_pg_items { LUA_PG_TEXTS, LUA_PG_DOUBLES, LUA_PG_BIGINTS };
void lua_pg_push_list(lua_State *L, const char *literal, enum lua_pg_items items);

/* lua_pg: what the files of the pg binding share: values between Lua and Postgres. Specs show
 * staged lists by it too. */
#ifndef AGG_BINDINGS_LUA_PG_H
#define AGG_BINDINGS_LUA_PG_H

#include "lua_util.h"
#include "pg.h"
#include "pg_named.h"

/* A file of sql/queries. Kept for the life of the connection. */
struct lua_pg_query {
    struct lua_pg_query *next;
    char *name;
    struct pg_named named;
};

/* Fills `params` from the table at `at` (nil: there are none); `list` is scratch. Raises for what a
 * script must not pass, a parameter left out too; false + err for text that Postgres cannot hold.
 */
bool lua_pg_read_params(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        struct pg_params *params, struct buffer *list, struct err *err);

/* After a failure of the statement: raises where the server refused a value for a type that only
 * the script can have given it, so that no client is told that its request is wrong. */
void lua_pg_check_types(lua_State *L, int at, const char *call, const struct lua_pg_query *query,
                        const struct err *err);

/* pg.bytes(text): marks a string as bytea. */
int lua_pg_bytes(lua_State *L);

/* Pushes the list of rows. Raises where two columns have one name. */
void lua_pg_push_rows(lua_State *L, const char *call, const char *query,
                      const struct pg_result *result);
/* Pushes the literal of an array as the list that rows have it as: {"a","b c",NULL}. */
void lua_pg_push_list(lua_State *L, const char *literal, bool numbers);

#endif

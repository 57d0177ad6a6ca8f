/* pg.each: visits the rows of a query of any length. A cursor (DECLARE, FETCH) fetches them in
 * parts of about FETCH_BYTES: between two parts the server waits without a running statement, so
 * that a slow visitor meets no statement_timeout. The transaction reads one snapshot. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "lua_pg_connection.h"

#define CURSOR "aggregator_each"
#define FETCH_BYTES (256 * 1024)
#define FIRST_ROWS 16 /* whatever the length of a row */
#define MOST_ROWS 1024

static const char lua_pg_each_call[] = "pg.each";

static const char *lua_pg_each_sql(struct lua_pg_query *query) {
    static const char declare[] = "DECLARE " CURSOR " NO SCROLL CURSOR FOR ";
    if (!query->cursor_sql) {
        size_t room = sizeof declare + strlen(query->named.sql);
        query->cursor_sql = xcalloc(1, room);
        snprintf(query->cursor_sql, room, "%s%s", declare, query->named.sql);
    }
    return query->cursor_sql;
}

/* Each statement may take as long as the call under way has left: `write` of a stream gives it its
 * whole time again. */
static int64_t lua_pg_each_deadline_us(lua_State *L) {
    return clock_monotonic_us() + lua_host_remaining_ms(L, lua_pg_each_call) * 1000LL;
}

static bool lua_pg_each_open(lua_State *L, struct lua_pg_connection *connection,
                             struct lua_pg_query *query, struct err *err) {
    connection->deadline_us = lua_pg_each_deadline_us(L);
    connection->visits = true;
    return lua_pg_begin(connection, "BEGIN READ ONLY", err) &&
           lua_pg_execute(connection, query->name, lua_pg_each_sql(query), connection->params,
                          connection->deadline_us, err);
}

static bool lua_pg_each_fetch(lua_State *L, struct lua_pg_connection *connection,
                              const struct lua_pg_query *query, int rows, struct err *err) {
    char sql[64];
    snprintf(sql, sizeof sql, "FETCH FORWARD %d FROM " CURSOR, rows);
    return lua_pg_execute(connection, query->name, sql, NULL, lua_pg_each_deadline_us(L), err);
}

/* How many rows of the length of these have FETCH_BYTES. Few different numbers: each is a prepared
 * statement. */
static int lua_pg_each_next_rows(const struct pg_result *result) {
    size_t bytes = 1;
    int rows = pg_rows_count(result), columns = pg_rows_column_count(result), next = 1;
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            bytes += pg_rows_cell(result, row, column).len;
        }
    }
    size_t fitting = (size_t)FETCH_BYTES * (size_t)rows / bytes;
    while (next < MOST_ROWS && (size_t)next * 4 <= fitting) {
        next *= 4;
    }
    return next;
}

/* What lua_pg_each_visit works on; on the C stack. */
struct lua_pg_each {
    struct lua_pg_connection *connection;
    struct lua_pg_query *query;
    struct err err; /* the failure of a fetch */
    double count;
};

/* Stack: visit, walk. Calls visit for each row. */
static int lua_pg_each_visit(lua_State *L) {
    struct lua_pg_each *walk = lua_touserdata(L, 2);
    struct lua_pg_connection *connection = walk->connection;
    int wanted = FIRST_ROWS;
    while (lua_pg_each_fetch(L, connection, walk->query, wanted, &walk->err)) {
        int got = pg_rows_count(connection->result);
        bool last = got < wanted;
        wanted = lua_pg_each_next_rows(connection->result);
        lua_pg_push_rows(L, lua_pg_each_call, walk->query->name, connection->result);
        pg_rows_free(connection->result); /* its memory is the rows' now */
        connection->result = NULL;
        for (int row = 1; row <= got; row++) {
            lua_pushvalue(L, 1);
            lua_rawgeti(L, 3, row);
            lua_call(L, 1, 0);
            walk->count++;
        }
        lua_settop(L, 2);
        if (last) {
            break;
        }
    }
    return 0;
}

/* Ends the transaction, whatever became of it, and returns or raises what the visitor raised. */
static int lua_pg_each_end(lua_State *L, struct lua_pg_each *walk, int status) {
    struct lua_pg_connection *connection = walk->connection;
    if (connection->pg && connection->in_transaction) {
        connection->deadline_us = lua_pg_each_deadline_us(L);
        lua_pg_roll_back(connection);
    }
    connection->visits = false;
    lua_pg_give_back(connection);
    if (status == LUA_ERRMEM) {
        lua_host_of(L)->healthy = false; /* memory is full; lua_error loses the status */
    }
    if (status != 0) {
        return lua_error(L);
    }
    if (walk->err.kind != ERR_NONE) {
        lua_pg_check_types(L, 2, lua_pg_each_call, walk->query, &walk->err);
        return lua_pg_push_failure(L, &walk->err);
    }
    lua_pushnumber(L, walk->count);
    return 1;
}

/* Documented in lua_pg.c. */
int lua_pg_each(lua_State *L) {
    struct lua_pg_connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    struct lua_pg_each walk = {.connection = connection};
    walk.query = lua_pg_find_query(L, connection, lua_pg_each_call);
    if (!lua_isfunction(L, 3)) {
        lua_bad_argument(L, 3, lua_pg_each_call, "the third argument", "a function");
    }
    lua_settop(L, 3);
    lua_pg_check_free(L, connection, lua_pg_each_call);
    bool good = lua_pg_read_params(L, 2, lua_pg_each_call, walk.query, connection->params,
                                   &connection->list, &walk.err) &&
                lua_host_may_ask(L, "pg", &walk.err);
    lua_pushcfunction(L, lua_pg_each_visit); /* before the transaction: it may raise */
    lua_pushvalue(L, 3);
    lua_pushlightuserdata(L, &walk);
    int status = 0;
    if (good && lua_pg_each_open(L, connection, walk.query, &walk.err)) {
        status = lua_pcall(L, 2, 0, 0); /* no error may skip the end of the transaction */
    }
    return lua_pg_each_end(L, &walk, status);
}

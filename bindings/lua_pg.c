/* pg for scripts: the queries of sql/queries/ by name, alone or in a transaction, each on a
 * borrowed connection and within the time left for the script's call.
 *
 * The module's userdata owns connection, result and parameters: a Lua error, which longjmps, leaks
 * nothing. */
#include "lua_pg_connection.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/traceparent.h"
#include "base/xalloc.h"
#include "lua_names.h"
#include "pg_reads.h"
#include "pg_spare.h"

static int lua_pg_close_connection(lua_State *L) {
    struct lua_pg_connection *connection = lua_touserdata(L, 1);
    pg_rows_free(connection->result);
    pg_destroy(connection->pg);
    pg_params_destroy(connection->params);
    buffer_free(&connection->list);
    for (struct lua_pg_query *query = connection->queries, *next; query; query = next) {
        next = query->next;
        pg_named_free(&query->named);
        free(query->cursor_sql);
        free(query->name);
        free(query);
    }
    *connection = (struct lua_pg_connection){0};
    return 0;
}

static void lua_pg_refuse_query(lua_State *L, const char *call, const char *name) {
    char hint[NEAREST_HINT_CAP];
    lua_host_of(L)->services.push_queries(L);
    luaL_error(L, "%s: no query \"%s\": %s (it would be sql/queries/%s.sql)", call, name,
               lua_names_hint(L, -1, name, hint), name);
}

struct lua_pg_query *lua_pg_find_query(lua_State *L, struct lua_pg_connection *connection,
                                       const char *call) {
    const char *name = lua_check_name(L, 1, call, "the query's name");
    for (struct lua_pg_query *query = connection->queries; query; query = query->next) {
        if (strcmp(query->name, name) == 0) {
            return query;
        }
    }
    struct err err = {0};
    struct pg_named named;
    const char *text = connection->host->services.query(L, name);
    if (!text) {
        lua_pg_refuse_query(L, call, name);
        return NULL;
    }
    if (!pg_named_parse(&named, text, &err)) {
        luaL_error(L, "%s: sql/queries/%s.sql, %s", call, name, err.text);
    }
    struct lua_pg_query *query = xcalloc(1, sizeof *query);
    query->name = xstrdup(name);
    query->named = named;
    query->next = connection->queries;
    return connection->queries = query;
}

int lua_pg_push_failure(lua_State *L, const struct err *err) {
    lua_push_failure(L, err);
    lua_pushstring(L, err->sqlstate); /* "" unless Postgres stated one */
    lua_setfield(L, -2, "sqlstate");
    return 2;
}

/* ---- one statement ------------------------------------------------------------------------ */

/* 0: past the deadline; err is set. */
static int lua_pg_remaining_ms(const char *name, int64_t deadline_us, struct err *err) {
    int timeout_ms = clock_remaining_ms(deadline_us);
    if (timeout_ms == 0) {
        err_set(err, ERR_TIMEOUT, "%s: no time is left for it", name);
    }
    return timeout_ms;
}

/* Ensures a live connection. Checks the deadline first: a loop of calls past it must not open
 * connections. */
static bool lua_pg_connect(struct lua_pg_connection *connection, const char *name,
                           int64_t deadline_us, struct err *err) {
    int timeout_ms = lua_pg_remaining_ms(name, deadline_us, err);
    if (timeout_ms == 0) {
        return false;
    }
    if (!connection->pg && connection->host->read) {
        connection->pg = pg_reads_borrow(connection->host->read, &connection->options, timeout_ms);
        connection->at_replica = connection->pg != NULL;
    }
    if (connection->at_replica) { /* it is connected, and was asked for its position */
        return true;
    }
    connection->pg = connection->pg ? connection->pg : pg_borrow(&connection->options);
    return pg_wake(connection->pg, clock_remaining_ms(deadline_us), err);
}

static bool lua_pg_wake(struct lua_pg_connection *connection, const char *name, int64_t deadline_us,
                        struct err *err) {
    int64_t began_us = clock_monotonic_us();
    bool ok = lua_pg_connect(connection, name, deadline_us, err);
    lua_host_note_wait(connection->host, began_us);
    return ok;
}

void lua_pg_give_back(struct lua_pg_connection *connection) {
    if (connection->pg) {
        pg_give_back(connection->pg);
    }
    connection->pg = NULL;
    connection->at_replica = false;
}

/* After a write of a route: a replica that answers a later read must have replayed it. */
static void lua_pg_note_written(struct lua_pg_connection *connection, int64_t deadline_us) {
    struct err err = {0};
    struct pg_position position;
    if (!connection->host->writes || !pg_reads_on()) {
        return;
    }
    if (pg_position_ask(connection->pg, clock_remaining_ms(deadline_us), &position, NULL, &err)) {
        pg_reads_announce(position);
    } else {
        pg_reads_forget();
    }
}

#define TRACE_COMMENT_CAP (TRACEPARENT_LEN + 32)

/* A comment with the trace, for the database's log and views (sqlcommenter). NULL for a trace that
 * is not sampled: it would cost parsing the statement. */
static const char *lua_pg_trace_comment(const struct lua_pg_connection *connection,
                                        char text[TRACE_COMMENT_CAP]) {
    char traceparent[TRACEPARENT_LEN + 1];
    if (!traceparent_is_sampled(connection->host->traceparent)) {
        return NULL;
    }
    traceparent_format(connection->host->traceparent, traceparent);
    snprintf(text, TRACE_COMMENT_CAP, "/*traceparent='%s'*/", traceparent);
    return text;
}

bool lua_pg_execute(struct lua_pg_connection *connection, const char *name, const char *sql,
                    const struct pg_params *params, int64_t deadline_us, struct err *err) {
    pg_rows_free(connection->result);
    connection->result = NULL;
    int timeout_ms = lua_pg_remaining_ms(name, deadline_us, err);
    if (timeout_ms == 0) {
        return false;
    }
    char comment[TRACE_COMMENT_CAP];
    int64_t began_us = clock_monotonic_us();
    pg_set_comment(connection->pg, lua_pg_trace_comment(connection, comment));
    bool ok = pg_query(connection->pg, name, sql, params, timeout_ms, &connection->result, err);
    lua_host_note_wait(connection->host, began_us);
    pg_set_comment(connection->pg, NULL);
    if (!ok && connection->at_replica && strcmp(err->sqlstate, "25006") == 0) {
        err_set(err, ERR_INTERNAL,
                "%s writes, and the route reads from a replica: declare `writes = true` in the "
                "route",
                name);
    }
    return ok;
}

/* A migration changed the prepared statement's columns, or a pooler dropped it. It was refused
 * before it ran; the next try prepares it again. */
static bool lua_pg_is_stale(const struct err *err) {
    return err->kind == ERR_UNAVAILABLE &&
           (strcmp(err->sqlstate, "0A000") == 0 || strcmp(err->sqlstate, "26000") == 0);
}

static int lua_pg_push_result(lua_State *L, struct lua_pg_connection *connection, const char *call,
                              const struct lua_pg_query *query) {
    lua_pg_push_rows(L, call, query->name, connection->result);
    pg_rows_free(connection->result);
    connection->result = NULL;
    return 1;
}

void lua_pg_roll_back(struct lua_pg_connection *connection) {
    struct err ignored = {0};
    connection->in_transaction = false;
    if (!lua_pg_execute(connection, "ROLLBACK", "ROLLBACK", NULL, connection->deadline_us,
                        &ignored)) {
        pg_disconnect(connection->pg);
    }
}

/* Postgres allows SET TRANSACTION READ WRITE until the first query: in the read-only console that
 * query is run here. */
bool lua_pg_begin(struct lua_pg_connection *connection, const char *sql, struct err *err) {
    sql = connection->options.read_only ? "BEGIN READ ONLY" : sql;
    if (!lua_pg_wake(connection, "BEGIN", connection->deadline_us, err) ||
        !lua_pg_execute(connection, "BEGIN", sql, NULL, connection->deadline_us, err)) {
        return false;
    }
    connection->in_transaction = true;
    if (connection->options.read_only &&
        !lua_pg_execute(connection, "snapshot", "SELECT 1", NULL, connection->deadline_us, err)) {
        lua_pg_roll_back(connection);
        return false;
    }
    return true;
}

static bool lua_pg_run(struct lua_pg_connection *connection, const struct lua_pg_query *query,
                       int64_t deadline_us, struct err *err) {
    const char *sql = query->named.sql;
    if (!lua_pg_wake(connection, query->name, deadline_us, err)) {
        return false;
    }
    bool ok = lua_pg_execute(connection, query->name, sql, connection->params, deadline_us, err);
    if (!ok && lua_pg_is_stale(err) && pg_connected(connection->pg)) {
        ok = lua_pg_execute(connection, query->name, sql, connection->params, deadline_us, err);
    }
    if (ok) {
        lua_pg_note_written(connection, deadline_us);
    }
    return ok;
}

/* A replica that cannot answer leaves the query to the primary. */
static bool lua_pg_run_somewhere(struct lua_pg_connection *connection,
                                 const struct lua_pg_query *query, int64_t deadline_us,
                                 struct err *err) {
    bool ok = lua_pg_run(connection, query, deadline_us, err);
    if (!ok && connection->at_replica && pg_reads_fall_back(connection->host->read, err)) {
        lua_pg_give_back(connection);
        err_clear(err);
        ok = lua_pg_run(connection, query, deadline_us, err);
    }
    return ok;
}

/* In a transaction of its own; the rollback undoes settings of the query. */
static bool lua_pg_run_read_only(struct lua_pg_connection *connection,
                                 const struct lua_pg_query *query, int64_t deadline_us,
                                 struct err *err) {
    connection->deadline_us = deadline_us;
    if (!lua_pg_begin(connection, "BEGIN", err)) {
        return false;
    }
    bool ok = lua_pg_execute(connection, query->name, query->named.sql, connection->params,
                             deadline_us, err);
    struct pg_result *result = connection->result;
    connection->result = NULL;
    lua_pg_roll_back(connection);
    pg_rows_free(connection->result);
    connection->result = result;
    return ok;
}

void lua_pg_check_free(lua_State *L, const struct lua_pg_connection *connection, const char *call) {
    if (connection->in_transaction) {
        luaL_error(L,
                   connection->visits ? "%s: pg.each is under way: ask before or after it"
                                      : "%s: a transaction is under way: use its tx.query",
                   call);
    }
}

/* pg.query(name, params) -> rows | nil, { kind, message, sqlstate } */
static int lua_pg_query(lua_State *L) {
    static const char call[] = "pg.query";
    struct lua_pg_connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    struct lua_pg_query *query = lua_pg_find_query(L, connection, call);
    struct err err = {0};
    int64_t deadline_us = clock_monotonic_us() + lua_host_remaining_ms(L, call) * 1000LL;
    lua_pg_check_free(L, connection, call);
    bool ok = lua_pg_read_params(L, 2, call, query, connection->params, &connection->list, &err) &&
              lua_host_may_ask(L, "pg", &err) &&
              (connection->options.read_only ? lua_pg_run_read_only : lua_pg_run_somewhere)(
                  connection, query, deadline_us, &err);
    lua_pg_give_back(connection);
    if (!ok) {
        lua_pg_check_types(L, 2, call, query, &err);
        return lua_pg_push_failure(L, &err);
    }
    return lua_pg_push_result(L, connection, call, query);
}

/* ---- transactions ------------------------------------------------------------------------- */

/* The connection of a `tx` whose transaction has not ended. */
static struct lua_pg_connection *lua_pg_transaction_of(lua_State *L, const char *call) {
    struct lua_pg_connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    if (!connection->in_transaction ||
        connection->serial != lua_tointeger(L, lua_upvalueindex(2))) {
        luaL_error(L, "%s: the transaction has ended", call);
    }
    return connection;
}

/* tx.query(name, params) -> rows | nil, failure. After a failure no query is sent. */
static int lua_pg_transaction_query(lua_State *L) {
    static const char call[] = "tx.query";
    struct lua_pg_connection *connection = lua_pg_transaction_of(L, call);
    struct lua_pg_query *query = lua_pg_find_query(L, connection, call);
    struct err err = {0};
    bool ok = lua_pg_read_params(L, 2, call, query, connection->params, &connection->list, &err);
    if (connection->failure.kind != ERR_NONE) {
        return lua_pg_push_failure(L, &connection->failure);
    }
    ok = ok && lua_pg_execute(connection, query->name, query->named.sql, connection->params,
                              connection->deadline_us, &err);
    if (!ok) {
        connection->failure = err;
        lua_pg_check_types(L, 2, call, query, &err);
        return lua_pg_push_failure(L, &err);
    }
    return lua_pg_push_result(L, connection, call, query);
}

static bool lua_pg_commit(struct lua_pg_connection *connection, struct err *err) {
    connection->in_transaction = false;
    if (clock_remaining_ms(connection->deadline_us) == 0) {
        pg_disconnect(connection->pg);
        return err_set(err, ERR_TIMEOUT, "no time was left to commit: rolled back");
    }
    if (!lua_pg_execute(connection, "COMMIT", "COMMIT", NULL, connection->deadline_us, err)) {
        if (!err->sqlstate[0]) { /* no reply */
            pg_disconnect(connection->pg);
            err_wrap(err, "unknown whether the transaction was committed");
        }
        return false;
    }
    bool ok = strcmp(pg_rows_command(connection->result), "COMMIT") == 0 ||
              err_set(err, ERR_INTERNAL, "Postgres rolled the transaction back");
    if (ok) {
        lua_pg_note_written(connection, connection->deadline_us);
    }
    return ok;
}

/* tx.rollback(): ends the transaction; the function goes on. */
static int lua_pg_transaction_rollback(lua_State *L) {
    lua_pg_roll_back(lua_pg_transaction_of(L, "tx.rollback"));
    return 0;
}

static void lua_pg_push_transaction(lua_State *L, int serial) {
    static const luaL_Reg functions[] = {{"query", lua_pg_transaction_query},
                                         {"rollback", lua_pg_transaction_rollback}};
    lua_createtable(L, 0, 2);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushinteger(L, serial);
        lua_pushcclosure(L, functions[i].func, 2);
        lua_setfield(L, -2, functions[i].name);
    }
}

/* pg.transaction(run), run(tx) -> what the function returned, or true | nil, failure */
static int lua_pg_transaction(lua_State *L) {
    static const char call[] = "pg.transaction";
    struct lua_pg_connection *connection = lua_touserdata(L, lua_upvalueindex(1));
    struct err err = {0};
    if (!lua_isfunction(L, 1)) {
        lua_bad_argument(L, 1, call, "the argument", "a function");
    }
    lua_settop(L, 1);
    int64_t deadline_us = clock_monotonic_us() + lua_host_remaining_ms(L, call) * 1000LL;
    if (connection->in_transaction) {
        luaL_error(L, "%s: a transaction is under way: they cannot be nested", call);
    }
    lua_pg_push_transaction(L, connection->serial + 1);
    connection->serial++;
    connection->deadline_us = deadline_us;
    err_clear(&connection->failure);
    if (!lua_host_may_ask(L, "pg", &err) || !lua_pg_begin(connection, "BEGIN", &err)) {
        lua_pg_give_back(connection);
        return lua_pg_push_failure(L, &err);
    }
    int status = lua_pcall(L, 1, LUA_MULTRET, 0); /* no error may skip the end of the transaction */
    bool open = connection->in_transaction;
    bool failed = status != 0 || connection->failure.kind != ERR_NONE;
    bool committed = false;
    if (open && failed) {
        lua_pg_roll_back(connection);
    } else if (open) {
        committed = lua_pg_commit(connection, &err);
    }
    lua_pg_give_back(connection);
    if (open && !failed && !committed) {
        return lua_pg_push_failure(L, &err);
    }
    if (status != 0) {
        if (status == LUA_ERRMEM) {
            lua_host_of(L)->healthy = false; /* memory is full; lua_error loses the status */
        }
        return lua_error(L);
    }
    if (open && failed) {
        return lua_pg_push_failure(L, &connection->failure);
    }
    if (lua_gettop(L) == 0) {
        lua_pushboolean(L, 1);
    }
    return lua_gettop(L);
}

/* ---- module ------------------------------------------------------------------------------- */

int luaopen_agg_pg(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"query", lua_pg_query},
        {"each", lua_pg_each}, /* pg.each(name, params, visit) -> count | nil, failure */
        {"transaction", lua_pg_transaction},
        {NULL, NULL}};
    lua_createtable(L, 0, 4);
    struct lua_pg_connection *connection =
        lua_new_resource(L, sizeof *connection, lua_pg_close_connection);
    connection->host = lua_host_of(L);
    connection->options = connection->host->services.pg;
    connection->params = pg_params_create();
    lua_bind_functions(L, functions);
    lua_pushcfunction(L, lua_pg_bytes); /* pg.bytes(text) -> text, marked as bytea */
    lua_setfield(L, -2, "bytes");
    return 1;
}

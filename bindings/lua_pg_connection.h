/* lua_pg_connection: the connection behind the functions of `pg` of one state; for lua_pg*.c. */
#pragma once

#include "lua_host.h"
#include "lua_pg.h"

/* A userdata of the state. */
struct lua_pg_connection {
    struct pg_options options;
    struct lua_host *host;
    struct pg *pg; /* borrowed; NULL: none */
    bool at_replica;
    struct pg_params *params;
    struct buffer list; /* scratch */
    struct pg_result *result;
    struct lua_pg_query *queries;
    /* The transaction under way. */
    bool in_transaction;
    bool visits; /* the transaction is that of pg.each */
    int serial;  /* of the transaction: detects a `tx` of an ended one */
    int64_t deadline_us;
    struct err failure; /* its first error: it can only be rolled back */
};

/* The query named by the first argument. */
struct lua_pg_query *lua_pg_find_query(lua_State *L, struct lua_pg_connection *connection,
                                       const char *call);
/* Raises if a transaction is under way. */
void lua_pg_check_free(lua_State *L, const struct lua_pg_connection *connection, const char *call);
/* Begins a transaction, with `sql`, on a borrowed connection, until connection->deadline_us. */
bool lua_pg_begin(struct lua_pg_connection *connection, const char *sql, struct err *err);
/* Runs one statement on it; the result is connection->result. */
bool lua_pg_execute(struct lua_pg_connection *connection, const char *name, const char *sql,
                    const struct pg_params *params, int64_t deadline_us, struct err *err);
/* Rolls back, or closes the connection. */
void lua_pg_roll_back(struct lua_pg_connection *connection);
void lua_pg_give_back(struct lua_pg_connection *connection);
/* nil and the failure. Returns 2. */
int lua_pg_push_failure(lua_State *L, const struct err *err);
/* pg.each, with the connection as upvalue 1: lua_pg_each.c. */
int lua_pg_each(lua_State *L);

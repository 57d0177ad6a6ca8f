/* pg_spare: borrowed connections are warm and have the same options. Needs PG_TEST_URL. */
#include <libpq-fe.h>
#include "bindings/pg_spare.h"

#include <stdlib.h>

#include "test.h"

#define WAIT_MS 10000

static struct pg_options options = {.application_name = "test_pg_spare",
                                    .connect_timeout_ms = WAIT_MS,
                                    .statement_timeout_ms = WAIT_MS};
static struct err err;

static int backend_of(struct pg *pg) {
    PGresult *result = NULL;
    CHECK_OK(pg_wake(pg, WAIT_MS, &err), &err);
    CHECK_OK(pg_query(pg, "backend", "SELECT pg_backend_pid()", NULL, WAIT_MS, &result, &err),
             &err);
    int backend = result ? atoi(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return backend;
}

static struct pg *borrow(void) {
    options.url = test_url("PG_TEST_URL");
    err_clear(&err);
    return pg_borrow(&options);
}

static void a_returned_connection_is_lent_again(void) {
    struct pg *one = borrow(), *other = borrow();
    int first = backend_of(one), second = backend_of(other);
    CHECK(first != second);
    pg_give_back(one);
    pg_give_back(other);
    one = borrow();
    CHECK_INT(backend_of(one), second); /* the one used last */
    pg_give_back(one);
    pg_close_spare();
}

static void other_options_get_another_connection(void) {
    struct pg *one = borrow();
    int backend = backend_of(one);
    pg_give_back(one);
    for (int round = 0; round < 2; round++) {
        options.statement_timeout_ms -= round == 0;
        options.uncounted = round == 1;
        struct pg *other = borrow();
        CHECK(backend_of(other) != backend);
        pg_destroy(other);
        options.statement_timeout_ms = WAIT_MS;
        options.uncounted = false;
    }
    one = borrow();
    CHECK_INT(backend_of(one), backend);
    pg_give_back(one);
    pg_close_spare();
}

static void a_closed_connection_is_not_kept(void) {
    struct pg *one = borrow();
    int backend = backend_of(one);
    pg_disconnect(one);
    pg_give_back(one);
    one = borrow();
    CHECK(!pg_connected(one));
    CHECK(backend_of(one) != backend);
    pg_destroy(one);
}

static void a_connection_with_many_statements_is_not_kept(void) {
    struct pg *one = borrow();
    int backend = backend_of(one);
    char sql[32];
    for (int i = 0; i < 300; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        CHECK_OK(pg_query(one, "numbered", sql, NULL, WAIT_MS, NULL, &err), &err);
    }
    pg_give_back(one);
    one = borrow();
    CHECK(backend_of(one) != backend);
    pg_destroy(one);
}

static const struct test_case cases[] = {
    {"a returned connection is lent again", a_returned_connection_is_lent_again},
    {"other options get another connection", other_options_get_another_connection},
    {"a closed connection is not kept", a_closed_connection_is_not_kept},
    {"a connection with many statements is not kept",
     a_connection_with_many_statements_is_not_kept},
};

TEST_MAIN(cases)

/* pg_server: a connection to the server at PG_TEST_URL, and questions to it. */
#pragma once

#include <libpq-fe.h>

#include "bindings/pg.h"
#include "test.h"

#define WAIT_MS 10000

static struct pg *pg;
static struct err err;

static inline struct pg *create(const char *url, int timeout_ms) {
    struct pg_options options = {.url = url,
                                 .application_name = "test_pg",
                                 .connect_timeout_ms = timeout_ms,
                                 .statement_timeout_ms = 5000};
    return pg_create(&options);
}

static inline void open_server(void) {
    pg = create(test_url("PG_TEST_URL"), 5000);
    err_clear(&err);
    CHECK_OK(pg_connect(pg, &err), &err);
}

static inline void close_server(void) {
    pg_destroy(pg);
    pg = NULL;
}

/* One value as text, in memory that lives until the next call; "" and a failed case on error. */
static inline const char *ask(struct pg *on, const char *name, const char *sql) {
    static _Thread_local char text[256];
    PGresult *result = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(on, name, sql, NULL, WAIT_MS, &result, &reason), &reason);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static inline void still_works(struct pg *on) {
    CHECK_TEXT(ask(on, "still_works", "SELECT 'yes'"), "yes");
}

/* One value of a statement with parameters, which it removes. */
static inline const char *ask_with(const char *sql, struct pg_params *params) {
    static char text[512];
    PGresult *result = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(pg, sql, sql, params, WAIT_MS, &result, &reason), &reason);
    snprintf(text, sizeof text, "%s", result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    pg_params_reset(params);
    return text;
}

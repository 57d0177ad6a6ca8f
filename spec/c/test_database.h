/* test_database: an empty database of a test on the server of PG_TEST_URL. */
#pragma once

#include "bindings/pg.h"
#include "test.h"

#define TEST_DATABASE_WAIT_MS 30000

/* Good until the next call. */
static inline const char *test_database_url(const char *name) {
    static char url[512];
    const char *server = test_url("PG_TEST_URL"), *path = strrchr(server, '/');
    snprintf(url, sizeof url, "%.*s/%s", (int)(path - server), server, name);
    return url;
}

static inline struct pg *test_database_connect(const char *url, const char *application) {
    struct pg_options options = {.url = url,
                                 .application_name = application,
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = 5000};
    struct err err = {0};
    struct pg *pg = pg_create(&options);
    CHECK_OK(pg_connect(pg, &err), &err);
    return pg;
}

/* Drops it if there is one, with whatever is connected, and makes it unless only to be dropped. */
static inline void test_database_renew(const char *name, bool make) {
    char sql[256];
    struct err err = {0};
    struct pg *pg = test_database_connect(test_url("PG_TEST_URL"), name);
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    CHECK_OK(pg_script(pg, sql, TEST_DATABASE_WAIT_MS, &err), &err);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0", name);
    CHECK_OK(!make || pg_script(pg, sql, TEST_DATABASE_WAIT_MS, &err), &err);
    pg_destroy(pg);
}

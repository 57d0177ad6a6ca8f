/* outbox_tables: the program's tables in a database of the test, and queries on the outbox. Needs
 * PG_TEST_URL. */
#pragma once

#include <libpq-fe.h>
#include "bindings/pg.h"
#include "schema/program_schema.h"
#include "test.h"
#include "test_database.h"

#define OUTBOX_WAIT_MS 10000

static inline struct pg *outbox_connect(const char *database) {
    return test_database_connect(test_database_url(database), database);
}

static inline void outbox_script(struct pg *pg, const char *sql) {
    struct err err = {0};
    CHECK_OK(pg_script(pg, sql, OUTBOX_WAIT_MS, &err), &err);
}

/* A database with nothing but empty tables; its connection. */
static inline struct pg *outbox_database_make(const char *database) {
    test_database_renew(database, true);
    struct pg *pg = outbox_connect(database);
    outbox_script(pg,
                  "CREATE SCHEMA " PROGRAM_SCHEMA "; CREATE TABLE schema_migrations (name text)");
    for (const struct program_schema_file *file = program_schema_files; file->name; file++) {
        outbox_script(pg, file->sql);
    }
    return pg;
}

static inline void outbox_database_drop(struct pg *pg, const char *database) {
    pg_destroy(pg);
    test_database_renew(database, false);
}

/* Postgres' statistics, which count rows, have all that this connection has done. */
static inline void outbox_count_rows(struct pg *pg) {
    outbox_script(pg, "SELECT pg_stat_force_next_flush()");
    outbox_script(pg, "ANALYZE aggregator_state.outbox");
}

/* The one cell that a statement answers; "" where it is null or there is none. */
static inline const char *outbox_ask(struct pg *pg, const char *sql) {
    static char texts[4][1024]; /* some answers may be compared with one another */
    static unsigned next;
    char *text = texts[next++ % 4];
    PGresult *rows = NULL;
    struct err err = {0};
    CHECK_OK(pg_query(pg, sql, sql, NULL, OUTBOX_WAIT_MS, &rows, &err), &err);
    snprintf(text, sizeof texts[0], "%s", rows && PQntuples(rows) ? PQgetvalue(rows, 0, 0) : "");
    PQclear(rows);
    return text;
}

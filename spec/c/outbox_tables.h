/* outbox_tables: the outbox's tables as the migration makes them, in a schema of the test's own,
 * and the few questions that tests have about them. Needs PG_TEST_URL; run in the project's folder.
 */
#ifndef AGG_SPEC_OUTBOX_TABLES_H
#define AGG_SPEC_OUTBOX_TABLES_H

#include "../../bindings/pg.h"
#include "test.h"

#define OUTBOX_WAIT_MS 10000

static char outbox_url[512];

/* The URL of connections that have `schema` first. */
static inline const char *outbox_url_of(const char *schema) {
    snprintf(outbox_url, sizeof outbox_url, "%s?options=-csearch_path%%3D%s",
             test_url("PG_TEST_URL"), schema);
    return outbox_url;
}

static inline struct pg *outbox_connect(const char *schema) {
    struct pg_options options = {.url = outbox_url_of(schema),
                                 .application_name = schema,
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = 5000};
    struct err err = {0};
    struct pg *pg = pg_create(&options);
    CHECK_OK(pg_connect(pg, &err), &err);
    return pg;
}

static inline void outbox_script(struct pg *pg, const char *sql) {
    struct err err = {0};
    CHECK_OK(pg_script(pg, sql, OUTBOX_WAIT_MS, &err), &err);
}

/* Empty tables. */
static inline void outbox_tables_make(struct pg *pg, const char *schema) {
    static char sql[16384];
    FILE *file = fopen("sql/migrations/0012_outbox.sql", "r");
    if (!file) {
        TEST_FAIL("sql/migrations/0012_outbox.sql is not here: run this in the project's folder");
        return;
    }
    int used = snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s;",
                        schema, schema);
    size_t len = (size_t)used + fread(sql + used, 1, sizeof sql - (size_t)used - 1, file);
    sql[len] = '\0';
    fclose(file);
    outbox_script(pg, sql);
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

#endif

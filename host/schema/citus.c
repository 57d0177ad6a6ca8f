#include "citus.h"

#include <string.h>

#include "base/log.h"
#include "bindings/pg.h"
#include "bindings/pg_rows.h"
#include "program_schema.h"

#define QUERY_TIMEOUT_MS 10000
/* Rows that are there move to their shards. */
#define DISTRIBUTE_TIMEOUT_MS (30 * 60 * 1000)

static const char citus_extension_sql[] =
    "SELECT count(*)::int4::text FROM pg_extension WHERE extname = 'citus'";
static const char citus_group_sql[] = "SELECT (groupid = 0)::text FROM pg_dist_local_group";
/* $1, $2: names of tables, and of their columns. */
static const char citus_distribute_sql[] =
    "SELECT object, place FROM " PROGRAM_SCHEMA ".distribute($1::text[], $2::text[])";

static bool citus_ask(struct pg *pg, const char *name, const char *sql, const char *expected,
                      bool *is_so, struct err *err) {
    struct pg_result *row;
    if (!pg_query(pg, name, sql, NULL, QUERY_TIMEOUT_MS, &row, err)) {
        return false;
    }
    *is_so = strcmp(pg_rows_text(row, 0, 0), expected) == 0;
    pg_rows_free(row);
    return true;
}

bool citus_find(struct pg *pg, enum citus_node *node, struct err *err) {
    bool is_there, is_first = false;
    *node = CITUS_NONE;
    if (!citus_ask(pg, "citus_extension", citus_extension_sql, "1", &is_there, err) ||
        (is_there && !citus_ask(pg, "citus_group", citus_group_sql, "true", &is_first, err))) {
        return false;
    }
    if (is_there) {
        *node = is_first ? CITUS_COORDINATOR : CITUS_WORKER;
    }
    return true;
}

bool citus_allows(struct pg *pg, enum citus_lack lack, struct err *err) {
    static const char *const reasons[] = {
        [CITUS_LACKS_RETENTION] =
            "the view declares a retention, which does not work on Citus: a sweep locks rows of "
            "all shards, which Citus refuses. Remove `retention` from scripts/view.lua; "
            "the docs, operate/citus.md, say how old rows are deleted instead",
        [CITUS_LACKS_SHADOW] =
            "verify, rebuild, diff and shadow runs do not work on Citus: they compare the view "
            "with a second one in the same database, and Citus joins no table of one server with "
            "tables of all. Run the command against a plain Postgres that reads the same topics: "
            "the docs, operate/citus.md, say how",
    };
    enum citus_node node;
    return citus_find(pg, &node, err) &&
           (node == CITUS_NONE || err_set(err, ERR_INPUT, "%s", reasons[lack]));
}

static void citus_add_names(struct pg_params *params, const struct citus_table *tables,
                            size_t count, bool is_column) {
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        pg_array_bytes(params, slice_of(is_column ? tables[i].column : tables[i].name));
    }
    pg_array_end(params);
}

bool citus_distribute(struct pg *pg, const struct citus_table *tables, size_t count, int *done,
                      struct err *err) {
    struct pg_params *params = pg_params_create();
    struct pg_result *rows = NULL;
    citus_add_names(params, tables, count, false);
    citus_add_names(params, tables, count, true);
    bool ok = pg_query(pg, "citus_distribute", citus_distribute_sql, params, DISTRIBUTE_TIMEOUT_MS,
                       &rows, err);
    *done = ok ? pg_rows_count(rows) : 0;
    for (int i = 0; i < *done; i++) {
        log_info("migrate distributed an object", LOG_TEXT("object", pg_rows_text(rows, i, 0)),
                 LOG_TEXT("place", pg_rows_text(rows, i, 1)));
    }
    pg_rows_free(rows);
    pg_params_destroy(params);
    return ok;
}

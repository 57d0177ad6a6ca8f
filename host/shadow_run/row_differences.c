#include "row_differences.h"

#include "base/json_put.h"
#include "rebuild/compare_sql.h"

#define EXAMPLES 3 /* of each column, and of each kind of row */

/* Of one table. */
struct comparison {
    struct sql_session *session;
    struct compare_scope scope;
    const struct view_table *table;
    int64_t rows, only_old, only_new, differing;
    struct buffer keys[SHADOW_RUN_SIDES]; /* of rows on one side only */
    struct buffer columns;
};

static bool row_differences_ask(struct comparison *comparison, enum compare_statement statement,
                                struct pg_result **rows, struct err *err) {
    struct buffer sql = {0};
    compare_sql(&comparison->scope, comparison->table, statement, &sql);
    pg_params_add_int8(comparison->session->params, EXAMPLES);
    return sql_query_built(comparison->session, &sql, rows, err);
}

static bool row_differences_compare(struct comparison *comparison, struct err *err) {
    struct buffer sql = {0};
    compare_sql(&comparison->scope, comparison->table, COMPARE_ALL, &sql);
    return sql_query_built(comparison->session, &sql, NULL, err);
}

static bool row_differences_count_rows(struct comparison *comparison, struct err *err) {
    struct buffer sql = {0};
    buffer_append_format(&sql, "SELECT count(*) FROM %s.\"%s\"", comparison->scope.live,
                         comparison->table->name);
    bool ok = sql_query_int(comparison->session, sql.data, &comparison->rows, err);
    buffer_free(&sql);
    return ok;
}

/* "missing" and "extra" refer to the old side. */
static bool row_differences_find_kinds(struct comparison *comparison, struct err *err) {
    struct pg_result *rows;
    if (!row_differences_ask(comparison, COMPARE_ROWS, &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        const char *kind = pg_rows_text(rows, i, 0);
        int64_t count = pg_rows_int(rows, i, 1);
        if (strcmp(kind, "missing") == 0) {
            comparison->only_new = count;
            json_put_text(&comparison->keys[SHADOW_RUN_NEW], NULL, pg_rows_cell(rows, i, 2));
        } else if (strcmp(kind, "extra") == 0) {
            comparison->only_old = count;
            json_put_text(&comparison->keys[SHADOW_RUN_OLD], NULL, pg_rows_cell(rows, i, 2));
        } else {
            comparison->differing = count;
        }
    }
    pg_rows_free(rows);
    return true;
}

static void row_differences_put_example(struct buffer *json, const struct pg_result *rows,
                                        int row) {
    json_open(json, NULL, "{");
    json_put_text(json, "key", pg_rows_cell(rows, row, 2));
    json_put_text(json, "old", pg_rows_cell(rows, row, 3));
    json_put_text(json, "new", pg_rows_cell(rows, row, 4));
    buffer_append_text(json, "}");
}

static bool row_differences_same_column(const struct pg_result *rows, int a, int b) {
    return strcmp(pg_rows_text(rows, a, 0), pg_rows_text(rows, b, 0)) == 0;
}

static bool row_differences_find_columns(struct comparison *comparison, struct err *err) {
    struct buffer *json = &comparison->columns;
    struct pg_result *rows;
    if (!row_differences_ask(comparison, COMPARE_COLUMNS, &rows, err)) {
        return false;
    }
    int count = pg_rows_count(rows);
    for (int i = 0; i < count; i++) {
        if (i == 0 || !row_differences_same_column(rows, i, i - 1)) {
            json_open(json, NULL, "{");
            json_put_text(json, "column", pg_rows_cell(rows, i, 0));
            json_put_int(json, "rows", pg_rows_int(rows, i, 1));
            json_open(json, "examples", "[");
        }
        row_differences_put_example(json, rows, i);
        if (i + 1 == count || !row_differences_same_column(rows, i, i + 1)) {
            buffer_append_text(json, "]}");
        }
    }
    pg_rows_free(rows);
    return true;
}

static void row_differences_put_table(const struct comparison *comparison, struct buffer *json) {
    json_open(json, NULL, "{");
    json_put_text(json, "table", slice_of(comparison->table->name));
    json_put_int(json, "rows", comparison->rows);
    json_put_int(json, "differing", comparison->differing);
    json_put_int(json, "only_old", comparison->only_old);
    json_put_int(json, "only_new", comparison->only_new);
    json_put_list(json, "columns", &comparison->columns);
    json_put_list(json, "only_old_keys", &comparison->keys[SHADOW_RUN_OLD]);
    json_put_list(json, "only_new_keys", &comparison->keys[SHADOW_RUN_NEW]);
    buffer_append_text(json, "}");
}

bool row_differences_find(struct row_differences *differences, struct sql_session *session,
                          const struct side sides[SHADOW_RUN_SIDES], const struct view_table *table,
                          struct err *err) {
    struct comparison comparison = {
        .session = session,
        .scope = {.live = sides[SHADOW_RUN_OLD].shadow.schema,
                  .shadow = sides[SHADOW_RUN_NEW].shadow.schema,
                  .own_versions = true},
        .table = table,
    };
    bool ok = row_differences_compare(&comparison, err) &&
              row_differences_count_rows(&comparison, err) &&
              row_differences_find_kinds(&comparison, err) &&
              row_differences_find_columns(&comparison, err);
    if (ok) {
        comparison.rows += comparison.only_new;
        row_differences_put_table(&comparison, &differences->tables);
        differences->rows += comparison.rows;
        differences->differing += comparison.differing + comparison.only_old + comparison.only_new;
    }
    buffer_free(&comparison.keys[SHADOW_RUN_OLD]);
    buffer_free(&comparison.keys[SHADOW_RUN_NEW]);
    buffer_free(&comparison.columns);
    return ok;
}

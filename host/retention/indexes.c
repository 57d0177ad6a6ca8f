#include "indexes.h"

#include <stdio.h>
#include <string.h>

#include "view/view_sql.h"
#include "retention/indexes.sql.h"

struct searched {
    const char *table;
    char column[VIEW_SQL_NAME_CAP];
};

static struct searched indexes_searched(const struct view_table *table, size_t at) {
    const struct view_retention *retention = table->retention;
    struct searched searched = {.table = at == 0 ? table->name : retention->with[at - 1].table};
    if (at == 0) {
        view_sql_name(searched.column, table, retention->by, -1);
    } else {
        snprintf(searched.column, sizeof searched.column, "%s", retention->with[at - 1].column);
    }
    return searched;
}

static void indexes_add_params(struct pg_params *params, const struct view_table *table) {
    for (int column = 0; column < 2; column++) {
        pg_array_begin(params, PG_ARRAY_TEXT);
        for (size_t i = 0; i <= table->retention->with_count; i++) {
            struct searched searched = indexes_searched(table, i);
            pg_array_bytes(params, slice_of(column ? searched.column : searched.table));
        }
        pg_array_end(params);
    }
}

bool indexes_find_missing(struct sql_session *session, const struct view_table *table,
                          bool missing[INDEXES_MAX], struct err *err) {
    struct pg_result *rows = NULL;
    memset(missing, 0, INDEXES_MAX * sizeof *missing);
    indexes_add_params(session->params, table);
    if (!sql_query(session, slice_of(missing_indexes_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        missing[pg_rows_int(rows, i, 0)] = true;
    }
    pg_rows_free(rows);
    return true;
}

void indexes_append_statement(struct buffer *out, const struct view_table *table, size_t at) {
    struct searched searched = indexes_searched(table, at);
    buffer_append_format(out, "CREATE INDEX CONCURRENTLY ON \"%s\" (\"%s\")", searched.table,
                         searched.column);
}

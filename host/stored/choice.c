#include "choice.h"

#include "base/json_put.h"

void choice_add_text(struct pg_params *params, struct slice text) {
    if (text.data) {
        pg_params_add_text(params, text);
    } else {
        pg_params_add_null(params);
    }
}

void choice_fill(const struct choice *choice, struct pg_params *params) {
    choice_add_text(params, choice->topic);
    choice_add_text(params, choice->second);
    if (choice->id_count == 0) {
        pg_params_add_null(params);
        return;
    }
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < choice->id_count; i++) {
        pg_array_bytes(params, choice->ids[i]);
    }
    pg_array_end(params);
}

bool choice_append_json(struct sql_session *session, const char *sql, struct buffer *json,
                        struct err *err) {
    struct buffer whole = {0};
    struct pg_result *rows;
    buffer_append_format(&whole, "SELECT coalesce(json_agg(r), '[]')::text FROM (%s) AS r", sql);
    if (!sql_query_built(session, &whole, &rows, err)) {
        return false;
    }
    json_append_compact(json, pg_rows_cell(rows, 0, 0));
    pg_rows_free(rows);
    return true;
}

#include "message_differences.h"

#include "base/json_put.h"
#include "side_pipeline.h"
#include "shadow_run/message_differences.sql.h"

static bool message_differences_ask(struct sql_session *session, const char *sql,
                                    struct pg_result **row, struct err *err) {
    return sql_query(session, slice_of(sql), row, err) ||
           err_wrap(err, "comparing what would be published");
}

static void message_differences_take_list(struct buffer *list, const struct pg_result *row,
                                          int column) {
    json_append_compact(list, pg_rows_cell(row, 0, column));
}

bool message_differences_find(struct message_differences *messages, struct sql_session *session,
                              struct err *err) {
    struct pg_result *row;
    *messages = (struct message_differences){0};
    if (!message_differences_ask(session, pair_sql, NULL, err) ||
        !message_differences_ask(session, sources_sql, &row, err)) {
        return false;
    }
    messages->count = pg_rows_int(row, 0, 0);
    messages->differing = pg_rows_int(row, 0, 1);
    message_differences_take_list(&messages->sources, row, 2);
    pg_rows_free(row);
    if (!message_differences_ask(session, failures_sql, &row, err)) {
        return false;
    }
    messages->newly_failing = pg_rows_int(row, 0, 0);
    messages->no_longer_failing = pg_rows_int(row, 0, 1);
    messages->failing = pg_rows_int(row, 0, 2);
    message_differences_take_list(&messages->failures, row, 3);
    pg_rows_free(row);
    return true;
}

void message_differences_append(const struct message_differences *messages, struct buffer *json) {
    json_put_int(json, "messages", messages->count);
    json_put_int(json, "differing_messages", messages->differing);
    json_put_int(json, "newly_failing", messages->newly_failing);
    json_put_int(json, "no_longer_failing", messages->no_longer_failing);
    json_put_int(json, "failing_on_both", messages->failing);
    json_put_list(json, "published", &messages->sources);
    json_put_list(json, "failing", &messages->failures);
}

void message_differences_free(struct message_differences *messages) {
    buffer_free(&messages->sources);
    buffer_free(&messages->failures);
}

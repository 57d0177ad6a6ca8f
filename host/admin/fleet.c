#include "fleet.h"

#include "../json_put.h"
#include "../log.h"
#include "../sql_session.h"

#define TIMEOUT_MS 2000

static const char sql[] =
    "SELECT scripts, count(*)::text FROM consumer_offsets WHERE consumer_group = $1::text "
    "AND scripts IS NOT NULL GROUP BY scripts ORDER BY count(*) DESC, scripts";

static bool ask(struct sql_session *session, const struct config *config, struct buffer *json,
                struct err *err) {
    PGresult *rows;
    pg_params_add_text(session->params, slice_of(config->kafka.group));
    if (!sql_query(session, slice_of(sql), &rows, err)) {
        return false;
    }
    buffer_append_text(json, "[");
    for (int i = 0; i < PQntuples(rows); i++) {
        json_put_name(json, NULL);
        buffer_append_text(json, "{");
        json_put_text(json, "hash", sql_cell(rows, i, 0));
        json_put_int(json, "partitions", sql_cell_int(rows, i, 1));
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
    PQclear(rows);
    return true;
}

void fleet_append(const struct config *config, struct buffer *json) {
    struct sql_session session;
    struct err err = {0};
    if (!sql_session_open(&session, config, "aggregator status", TIMEOUT_MS, &err) ||
        !ask(&session, config, json, &err)) {
        log_warning("status cannot say what handled the partitions", LOG_TEXT("error", err.text));
        buffer_append_text(json, "null");
    }
    sql_session_close(&session);
}

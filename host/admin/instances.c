#include "instances.h"

#include "base/json_put.h"
#include "base/log.h"
#include "reload/generation_store.h"
#include "view/sql_session.h"

#define TIMEOUT_MS 2000
/* An instance is gone after six missed heartbeats. */
static const char instances_sql[] =
    "SELECT instance, generation::text, scripts, (extract(epoch FROM since) * 1e6)::int8::text, "
    "(extract(epoch FROM started_at) * 1e6)::int8::text, "
    "(extract(epoch FROM last_seen) * 1e6)::int8::text, "
    "(last_seen < now() - interval '60 s')::int::text "
    "FROM aggregator_state.instances WHERE consumer_group = $1::text AND stopped_at IS NULL "
    "ORDER BY started_at, instance";

static const char partitions_sql[] =
    "SELECT scripts, count(*)::text FROM aggregator_state.consumer_offsets WHERE consumer_group = "
    "$1::text "
    "AND scripts IS NOT NULL GROUP BY scripts ORDER BY count(*) DESC, scripts";

enum column { INSTANCE, GENERATION, HASH, SINCE, STARTED_AT, LAST_SEEN, GONE };

static bool instances_query(struct sql_session *session, const struct config *config,
                            const char *sql, struct pg_result **rows, struct err *err) {
    pg_params_add_text(session->params, slice_of(config->kafka.group));
    return sql_query(session, slice_of(sql), rows, err);
}

static bool instances_is_gone(const struct pg_result *rows, int row) {
    return pg_rows_int(rows, row, GONE) != 0;
}

static void instances_put_row(struct buffer *json, const struct pg_result *rows, int row,
                              const char *this) {
    struct slice instance = pg_rows_cell(rows, row, INSTANCE);
    json_put_name(json, NULL);
    buffer_append_text(json, "{");
    json_put_text(json, "instance", instance);
    json_put_bool(json, "this", slice_equal(instance, slice_of(this)));
    json_put_int(json, "generation", pg_rows_int(rows, row, GENERATION));
    json_put_text(json, "hash", pg_rows_cell(rows, row, HASH));
    json_put_time(json, "since", pg_rows_int(rows, row, SINCE));
    json_put_time(json, "started", pg_rows_int(rows, row, STARTED_AT));
    json_put_time(json, "last_seen", pg_rows_int(rows, row, LAST_SEEN));
    json_put_bool(json, "gone", instances_is_gone(rows, row));
    buffer_append_text(json, "}");
}

/* True: all live instances run the same scripts. */
static bool instances_agree(const struct pg_result *rows) {
    struct slice hash = {0};
    for (int i = 0; i < pg_rows_count(rows); i++) {
        struct slice other = pg_rows_cell(rows, i, HASH);
        if (!instances_is_gone(rows, i) && hash.data && !slice_equal(hash, other)) {
            return false;
        }
        hash = instances_is_gone(rows, i) ? hash : other;
    }
    return true;
}

static void instances_put_partitions(struct buffer *json, const struct pg_result *rows) {
    json_put_name(json, "partitions_handled_by");
    buffer_append_text(json, "[");
    for (int i = 0; i < pg_rows_count(rows); i++) {
        json_put_name(json, NULL);
        buffer_append_text(json, "{");
        json_put_text(json, "hash", pg_rows_cell(rows, i, 0));
        json_put_int(json, "partitions", pg_rows_int(rows, i, 1));
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static bool instances_query_all(const struct config *config, const char *this,
                                struct buffer *json) {
    struct sql_session session;
    struct err err = {0};
    struct pg_result *instances = NULL, *partitions = NULL;
    bool ok = sql_session_open(&session, config, "aggregator status", TIMEOUT_MS, &err) &&
              instances_query(&session, config, instances_sql, &instances, &err) &&
              instances_query(&session, config, partitions_sql, &partitions, &err);
    struct buffer stored = {0};
    ok = ok && generation_store_list(&session, &stored, &err);
    if (ok) {
        json_put_name(json, "instances");
        buffer_append_text(json, "[");
        for (int i = 0; i < pg_rows_count(instances); i++) {
            instances_put_row(json, instances, i, this);
        }
        buffer_append_text(json, "]");
        json_put_bool(json, "scripts_agree", instances_agree(instances));
        instances_put_partitions(json, partitions);
        json_put_name(json, "stored_generations");
        buffer_append(json, stored.data, stored.len);
    } else {
        log_warning("status cannot read the other instances from the database",
                    LOG_TEXT("error", err.text));
    }
    buffer_free(&stored);
    pg_rows_free(instances);
    pg_rows_free(partitions);
    sql_session_close(&session);
    return ok;
}

void instances_append(const struct config *config, const char *instance, bool ask,
                      struct buffer *json) {
    static const char *const members[] = {"instances", "scripts_agree", "partitions_handled_by",
                                          "stored_generations"};
    if (ask && instances_query_all(config, instance, json)) {
        return;
    }
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_put_text(json, members[i], (struct slice){0});
    }
}

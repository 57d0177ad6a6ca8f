#include "partitions.h"

#include <stdlib.h>

#include <ctype.h>
#include "base/json_put.h"
#include "base/metrics.h"
#include "schema/program_schema.h"
#include "stored/choice.h"
#include "admin/partitions.sql.h"

#define TIMEOUT_MS 5000

/* One lag metric as elements {"topic":…,"partition":…,"lag":…}; partition null: of all that a
 * worker has of the topic. Kafka allows no character in a topic's name that a label would escape.
 */
static void partitions_put_lag(const struct metric_cell *cell, void *context) {
    static const char topic_label[] = "topic=\"", partition_label[] = "\",partition=\"";
    struct buffer *json = context;
    const char *topic = strstr(metric_labels(cell), topic_label);
    const char *end = topic ? strstr(topic, partition_label) : NULL;
    if (end) {
        topic += sizeof topic_label - 1;
        json_open(json, NULL, "{");
        json_put_text(json, "topic", (struct slice){topic, (size_t)(end - topic)});
        const char *number = end + sizeof partition_label - 1;
        if (isdigit((unsigned char)*number)) {
            json_put_int(json, "partition", strtoll(number, NULL, 10));
        } else {
            json_put_text(json, "partition", (struct slice){0});
        }
        json_put_name(json, "lag");
        buffer_append_format(json, "%.15g}", metric_value(cell));
    }
}

static void partitions_put_lags(struct buffer *json, const char *name, const char *metric) {
    json_open(json, name, "[");
    metrics_visit(metric, partitions_put_lag, json);
    buffer_append_text(json, "]");
}

static void partitions_add_value(const struct metric_cell *cell, void *sum) {
    *(double *)sum += metric_value(cell);
}

int partitions_answer(const struct config *config, struct buffer *json) {
    struct sql_session session;
    struct err err = {0};
    bool ok = sql_session_borrow(&session, config, "aggregator admin", TIMEOUT_MS, &err);
    buffer_append_text(json, "{");
    json_put_name(json, "partitions");
    if (ok) {
        pg_params_add_text(session.params, slice_of(config->kafka.group));
        ok = choice_append_json(&session, partitions_sql, json, &err);
    }
    sql_session_give_back(&session);
    if (!ok) {
        program_schema_advise(&err);
        buffer_clear(json);
        return admin_fail(json, 503, slice_of(err.text));
    }
    partitions_put_lags(json, "lag_records", "ras_consumer_lag_messages");
    partitions_put_lags(json, "lag_s", "ras_consumer_lag_seconds");
    double read_here = 0;
    metrics_visit("ras_consumer_partitions", partitions_add_value, &read_here);
    json_put_int(json, "read_here", (int64_t)read_here);
    buffer_append_text(json, "}");
    return 200;
}

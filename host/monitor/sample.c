#include "sample.h"

#include <math.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/metrics.h"
#include "base/number.h"
#include "bindings/pg_metrics.h"
#include "process_metrics.h"

/* The labels `a="x",b="y"` as members: Prometheus' escapes are JSON's. */
static void sample_put_labels(struct buffer *json, const char *labels) {
    while (*labels) {
        size_t name_len = strcspn(labels, "=");
        json_put_name(json, NULL);
        buffer_append_format(json, "\"%.*s\":", (int)name_len, labels);
        const char *value = labels + name_len + 1, *end = value + 1;
        while (*end && *end != '"') {
            end += *end == '\\' && end[1] ? 2 : 1;
        }
        end += *end == '"';
        buffer_append(json, value, (size_t)(end - value));
        labels = end + (*end == ',');
    }
}

static void sample_put_buckets(const struct metric_cell *cell, struct buffer *json) {
    uint64_t counts[METRIC_BUCKETS] = {0};
    metric_add_buckets(cell, counts);
    json_open(json, "buckets", "[");
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        json_put_int(json, NULL, (int64_t)counts[i]);
    }
    buffer_append_text(json, "]");
}

static void sample_put_value(const struct metric_cell *cell, struct buffer *json) {
    char number[NUMBER_TEXT_CAP];
    json_open(json, NULL, "{");
    sample_put_labels(json, metric_labels(cell));
    json_put_name(json, "value");
    buffer_append_text(json, number_format(metric_value(cell), number));
}

static void sample_visit_number(const struct metric_cell *cell, void *json) {
    sample_put_value(cell, json);
    buffer_append_text(json, "}");
}

static void sample_visit_histogram(const struct metric_cell *cell, void *json) {
    sample_put_value(cell, json);
    sample_put_buckets(cell, json);
    buffer_append_text(json, "}");
}

static void sample_put_cells(struct buffer *json, const char *name, const char *metric,
                             void (*visit)(const struct metric_cell *cell, void *json)) {
    json_open(json, name, "[");
    metrics_visit(metric, visit, json);
    buffer_append_text(json, "]");
}

void sample_put_metric(struct buffer *json, const char *name, const char *metric) {
    sample_put_cells(json, name, metric, sample_visit_number);
}

static void sample_put_bounds(struct buffer *json) {
    char number[NUMBER_TEXT_CAP];
    json_open(json, "bounds_s", "[");
    for (size_t i = 0; isfinite(metric_bound(i)); i++) {
        json_put_name(json, NULL);
        buffer_append_text(json, number_format(metric_bound(i), number));
    }
    buffer_append_text(json, "]");
}

void sample_put(struct buffer *json) {
    static const char *const numbers[] = {
        "ras_messages_processed_total",  "ras_rejected_messages_total",
        "ras_ignored_messages_total",    "ras_duplicate_messages_total",
        "ras_consumer_lag_messages",     "ras_consumer_lag_seconds",
        "ras_consumer_committed_offset", "ras_script_errors_total",
        "ras_script_memory_bytes",       "ras_cache_hits_total",
        "ras_cache_misses_total",        "ras_api_requests_total",
        "ras_http_connections",          "ras_script_busy_states",
        "ras_script_waiting_requests",   "ras_db_connections",
        "ras_db_connections_active",     "process_cpu_seconds_total",
        "process_resident_memory_bytes"};
    static const char *const histograms[] = {"ras_api_request_duration_seconds",
                                             "ras_script_duration_seconds",
                                             "ras_db_transaction_duration_seconds"};
    process_metrics_update();
    pg_metrics_update();
    json_put_int(json, "at_us", clock_monotonic_us());
    sample_put_bounds(json);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sample_put_metric(json, numbers[i], numbers[i]);
    }
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        sample_put_cells(json, histograms[i], histograms[i], sample_visit_histogram);
    }
}

void sample_put_seen(struct buffer *json, const char *name, int max_mb) {
    json_open(json, name, "{");
    json_put_int(json, "max_mb", max_mb);
    sample_put_metric(json, "bytes", "ras_redis_seen_bytes");
    sample_put_metric(json, "ttl_s", "ras_redis_seen_ttl_seconds");
    sample_put_metric(json, "skipped", "ras_redis_seen_skipped_total");
    buffer_append_text(json, "}");
}

void sample_put_lag(struct buffer *json, const char *name) {
    json_open(json, name, "{");
    sample_put_metric(json, "records", "ras_consumer_lag_messages");
    sample_put_metric(json, "seconds", "ras_consumer_lag_seconds");
    sample_put_metric(json, "committed_offset", "ras_consumer_committed_offset");
    sample_put_metric(json, "partitions", "ras_consumer_partitions");
    buffer_append_text(json, "}");
}

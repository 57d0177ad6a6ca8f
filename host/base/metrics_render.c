/* metrics_render: the page of all metrics, in Prometheus' text format. */
#include <stdlib.h>

#include "metrics_private.h"
#include "number.h"

static void metrics_render_sample(struct buffer *out, const struct metric *metric,
                                  const char *suffix, const struct metric_cell *cell,
                                  double value) {
    const char *open = cell->labels[0] ? "{" : "", *close = cell->labels[0] ? "}" : "";
    char number[NUMBER_TEXT_CAP];
    buffer_append_format(out, "%s%s%s%s%s %s\n", metric->name, suffix, open, cell->labels, close,
                         number_format(value, number));
}

static void metrics_render_histogram(struct buffer *out, const struct metric *metric,
                                     const struct metric_cell *cell) {
    const char *comma = cell->labels[0] ? "," : "";
    uint64_t count = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        count += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
        buffer_append_format(out, "%s_bucket{%s%sle=\"", metric->name, cell->labels, comma);
        if (i + 1 < METRIC_BUCKETS) {
            buffer_append_format(out, "%g", metric_bound(i));
        } else {
            buffer_append_text(out, "+Inf");
        }
        buffer_append_format(out, "\"} %llu\n", (unsigned long long)count);
    }
    metrics_render_sample(out, metric, "_sum", cell, metrics_to_double(atomic_load(&cell->value)));
    metrics_render_sample(out, metric, "_count", cell, (double)count);
}

static int metrics_render_by_labels(const void *a, const void *b) {
    const struct metric_cell *const *left = a, *const *right = b;
    return strcmp((*left)->labels, (*right)->labels);
}

static void metrics_render_family(struct buffer *out, struct metrics_snapshot *snapshot) {
    const struct metric *metric = snapshot->metric;
    qsort(snapshot->cells, snapshot->count, sizeof *snapshot->cells, metrics_render_by_labels);
    buffer_append_format(out, "# HELP %s ", metric->name);
    metrics_append_escaped(out, snapshot->help);
    buffer_append_format(out, "\n# TYPE %s %s\n", metric->name, metrics_type_names[metric->type]);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct metric_cell *cell = snapshot->cells[i];
        if (atomic_load(&cell->hidden)) {
            continue;
        }
        if (metric->type == METRIC_HISTOGRAM) {
            metrics_render_histogram(out, metric, cell);
        } else {
            metrics_render_sample(out, metric, "", cell, metric_value(cell));
        }
    }
}

void metrics_render(struct buffer *out) {
    size_t count;
    struct metrics_snapshot *snapshots = metrics_take_snapshots(&count);
    for (size_t i = 0; i < count; i++) {
        metrics_render_family(out, &snapshots[i]);
    }
    metrics_drop_snapshots(snapshots, count);
}

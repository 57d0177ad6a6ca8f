#include "metrics.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "xalloc.h"

#define MAX_CELLS 2000

static const char *const type_names[] = {"counter", "gauge", "histogram"};
static const double bounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
#define BOUND_COUNT (sizeof bounds / sizeof *bounds)

struct metric_cell {
    struct metric_cell *next;
    char *labels;           /* `a="x",b="y"`, escaped; "" without labels */
    _Atomic uint64_t value; /* the bits of a double; a histogram's sum */
    _Atomic uint64_t buckets[BOUND_COUNT + 1];
    enum metric_type type;
};

struct metric {
    struct metric *next;
    enum metric_type type;
    char *name;
    char *help;
    char *label_names;
    size_t label_count;
    struct metric_cell *cells; /* sorted by labels */
    size_t cell_count;
};

/* Guards the lists; cells are updated without it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *families; /* sorted by name */

static size_t count_labels(const char *names) {
    size_t count = names[0] ? 1 : 0;
    for (const char *at = names; *at; at++) {
        count += *at == ',';
    }
    return count;
}

static struct metric *add_family(struct metric **place, enum metric_type type, const char *name,
                                 const char *help, const char *label_names) {
    struct metric *metric = xcalloc(1, sizeof *metric);
    *metric = (struct metric){.next = *place,
                              .type = type,
                              .name = xstrdup(name),
                              .help = xstrdup(help),
                              .label_names = xstrdup(label_names),
                              .label_count = count_labels(label_names)};
    return *place = metric;
}

struct metric *metric_family_checked(enum metric_type type, const char *name, const char *help,
                                     const char *label_names, struct err *err) {
    pthread_mutex_lock(&lock);
    struct metric **place = &families;
    while (*place && strcmp((*place)->name, name) < 0) {
        place = &(*place)->next;
    }
    struct metric *metric = *place;
    if (!metric || strcmp(metric->name, name) != 0) {
        metric = add_family(place, type, name, help, label_names);
    } else if (metric->type != type || strcmp(metric->label_names, label_names) != 0) {
        err_set(err, ERR_INPUT, "metric %s is a %s with labels \"%s\" already", name,
                type_names[metric->type], metric->label_names);
        metric = NULL;
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

struct metric *metric_family(enum metric_type type, const char *name, const char *help,
                             const char *label_names) {
    struct err err = {0};
    struct metric *metric = metric_family_checked(type, name, help, label_names, &err);
    if (!metric) {
        fprintf(stderr, "aggregator: %s\n", err.text);
        abort();
    }
    return metric;
}

static void append_escaped(struct buffer *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\\' || *value == '"') {
            buffer_append(out, "\\", 1);
        }
        if (*value == '\n') {
            buffer_append(out, "\\n", 2);
        } else {
            buffer_append(out, value, 1);
        }
    }
}

static void append_labels(struct buffer *out, const struct metric *metric,
                          const char *const *values) {
    const char *name = metric->label_names;
    for (size_t i = 0; i < metric->label_count; i++) {
        size_t len = strcspn(name, ",");
        buffer_append_format(out, "%s%.*s=\"", i ? "," : "", (int)len, name);
        append_escaped(out, values[i]);
        buffer_append(out, "\"", 1);
        name += len + 1;
    }
}

static struct metric_cell *find_cell(struct metric *metric, const char *labels) {
    struct metric_cell **place = &metric->cells;
    while (*place && strcmp((*place)->labels, labels) < 0) {
        place = &(*place)->next;
    }
    if (*place && strcmp((*place)->labels, labels) == 0) {
        return *place;
    }
    struct metric_cell *cell = xcalloc(1, sizeof *cell);
    cell->labels = xstrdup(labels);
    cell->type = metric->type;
    cell->next = *place;
    metric->cell_count++;
    return *place = cell;
}

struct metric_cell *metric_cell_of(struct metric *metric, const char *const *values, size_t count) {
    static const char *const other[METRIC_MAX_LABELS] = {"other", "other", "other", "other"};
    struct buffer labels = {0};
    if (count != metric->label_count) {
        fprintf(stderr, "aggregator: metric %s has labels \"%s\"\n", metric->name,
                metric->label_names);
        abort();
    }
    pthread_mutex_lock(&lock);
    buffer_append_text(&labels, "");
    append_labels(&labels, metric, metric->cell_count < MAX_CELLS ? values : other);
    struct metric_cell *cell = find_cell(metric, labels.data);
    pthread_mutex_unlock(&lock);
    buffer_free(&labels);
    return cell;
}

struct metric_cell *metric_cell(struct metric *metric, ...) {
    const char *values[METRIC_MAX_LABELS];
    va_list arguments;
    va_start(arguments, metric);
    for (size_t i = 0; i < metric->label_count; i++) {
        values[i] = va_arg(arguments, const char *);
    }
    va_end(arguments);
    return metric_cell_of(metric, values, metric->label_count);
}

static double to_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void metric_add(struct metric_cell *cell, double amount) {
    uint64_t held = atomic_load_explicit(&cell->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&cell->value, &held,
                                                  to_bits(to_double(held) + amount),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metric_set(struct metric_cell *cell, double value) {
    atomic_store_explicit(&cell->value, to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric_cell *cell, double value) {
    size_t bucket = 0;
    while (bucket < BOUND_COUNT && value > bounds[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&cell->buckets[bucket], 1, memory_order_relaxed);
    metric_add(cell, value);
}

static uint64_t observations(const struct metric_cell *cell) {
    uint64_t count = 0;
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        count += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
    }
    return count;
}

double metric_value(const struct metric_cell *cell) {
    return cell->type == METRIC_HISTOGRAM
               ? (double)observations(cell)
               : to_double(atomic_load_explicit(&cell->value, memory_order_relaxed));
}

static void render_histogram(struct buffer *out, const struct metric *metric,
                             const struct metric_cell *cell) {
    const char *comma = cell->labels[0] ? "," : "";
    const char *open = cell->labels[0] ? "{" : "", *close = cell->labels[0] ? "}" : "";
    uint64_t count = 0;
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        count += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
        buffer_append_format(out, "%s_bucket{%s%sle=\"", metric->name, cell->labels, comma);
        if (i < BOUND_COUNT) {
            buffer_append_format(out, "%g", bounds[i]);
        } else {
            buffer_append_text(out, "+Inf");
        }
        buffer_append_format(out, "\"} %llu\n", (unsigned long long)count);
    }
    buffer_append_format(out, "%s_sum%s%s%s %.17g\n", metric->name, open, cell->labels, close,
                         to_double(atomic_load(&cell->value)));
    buffer_append_format(out, "%s_count%s%s%s %llu\n", metric->name, open, cell->labels, close,
                         (unsigned long long)count);
}

static void render_family(struct buffer *out, const struct metric *metric) {
    buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                         metric->name, type_names[metric->type]);
    for (const struct metric_cell *cell = metric->cells; cell; cell = cell->next) {
        if (metric->type == METRIC_HISTOGRAM) {
            render_histogram(out, metric, cell);
        } else if (cell->labels[0]) {
            buffer_append_format(out, "%s{%s} %.17g\n", metric->name, cell->labels,
                                 metric_value(cell));
        } else {
            buffer_append_format(out, "%s %.17g\n", metric->name, metric_value(cell));
        }
    }
}

void metrics_render(struct buffer *out) {
    pthread_mutex_lock(&lock);
    for (const struct metric *metric = families; metric; metric = metric->next) {
        render_family(out, metric);
    }
    pthread_mutex_unlock(&lock);
}

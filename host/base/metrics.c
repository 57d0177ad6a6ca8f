#include "metrics.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "number.h"
#include "xalloc.h"

#define MAX_CELLS 2000

/* Prometheus' default buckets, which the platform's dashboards ask for, and finer ones below. */
static const double bounds[] = {.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .075,
                                .1,    .25,    .5,    .75,  1,     2.5,  5,   7.5,  10};
static const char *const type_names[] = {"counter", "gauge", "histogram"};
#define BOUND_COUNT (sizeof bounds / sizeof *bounds)

struct metric_cell {
    char *labels;           /* `a="x",b="y"`, escaped; "" without labels */
    uint64_t hash;          /* of the labels */
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
    struct metric_cell **cells; /* in order of first use */
    size_t cell_count, cell_cap;
    struct metric_cell **table; /* by hash, open addressing; at most half full */
    size_t table_size;          /* a power of two */
};

/* Guards the families, their cells' arrays and tables; cells are updated without it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *families; /* sorted by name */
static size_t family_count;

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
    family_count++;
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

/* The table's slot of the labels: theirs, or the free one where they belong. */
static struct metric_cell **slot_of(const struct metric *metric, const char *labels,
                                    uint64_t hash) {
    size_t at = hash & (metric->table_size - 1);
    while (metric->table[at] &&
           !(metric->table[at]->hash == hash && strcmp(metric->table[at]->labels, labels) == 0)) {
        at = (at + 1) & (metric->table_size - 1);
    }
    return &metric->table[at];
}

static void grow(struct metric *metric) {
    metric->cell_cap = metric->cell_cap ? metric->cell_cap * 2 : 4;
    metric->cells = xrealloc(metric->cells, metric->cell_cap * sizeof(struct metric_cell *));
    metric->table_size = metric->cell_cap * 2;
    free(metric->table);
    metric->table = xcalloc(metric->table_size, sizeof(struct metric_cell *));
    for (size_t i = 0; i < metric->cell_count; i++) {
        struct metric_cell *cell = metric->cells[i];
        *slot_of(metric, cell->labels, cell->hash) = cell;
    }
}

static struct metric_cell *find_cell(struct metric *metric, const char *labels) {
    uint64_t hash = hash64(slice_of(labels));
    struct metric_cell **slot = metric->table_size ? slot_of(metric, labels, hash) : NULL;
    return slot ? *slot : NULL;
}

static struct metric_cell *add_cell(struct metric *metric, const char *labels) {
    if (metric->cell_count == metric->cell_cap) {
        grow(metric);
    }
    struct metric_cell *cell = xcalloc(1, sizeof *cell);
    cell->labels = xstrdup(labels);
    cell->hash = hash64(slice_of(labels));
    cell->type = metric->type;
    *slot_of(metric, labels, cell->hash) = cell;
    return metric->cells[metric->cell_count++] = cell;
}

struct metric_cell *metric_cell_of(struct metric *metric, const char *const *values, size_t count) {
    static const char *const other[METRIC_MAX_LABELS] = {"other", "other", "other", "other"};
    struct buffer labels = {0};
    if (count != metric->label_count) {
        fprintf(stderr, "aggregator: metric %s has labels \"%s\"\n", metric->name,
                metric->label_names);
        abort();
    }
    buffer_append_text(&labels, "");
    append_labels(&labels, metric, values);
    pthread_mutex_lock(&lock);
    struct metric_cell *cell = find_cell(metric, labels.data);
    if (!cell && metric->cell_count >= MAX_CELLS) {
        buffer_clear(&labels);
        append_labels(&labels, metric, other);
        cell = find_cell(metric, labels.data);
    }
    if (!cell) {
        cell = add_cell(metric, labels.data);
    }
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

struct metric_cell *metric_single(enum metric_type type, const char *name, const char *help) {
    return metric_cell(metric_family(type, name, help, ""));
}

struct metric_cell *metric_unshown(enum metric_type type) {
    static struct metric_cell cells[] = {[METRIC_COUNTER] = {.type = METRIC_COUNTER},
                                         [METRIC_GAUGE] = {.type = METRIC_GAUGE},
                                         [METRIC_HISTOGRAM] = {.type = METRIC_HISTOGRAM}};
    return &cells[type];
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

/* name{labels} value */
static void append_sample(struct buffer *out, const struct metric *metric, const char *suffix,
                          const struct metric_cell *cell, double value) {
    const char *open = cell->labels[0] ? "{" : "", *close = cell->labels[0] ? "}" : "";
    char number[NUMBER_TEXT_CAP];
    buffer_append_format(out, "%s%s%s%s%s %s\n", metric->name, suffix, open, cell->labels, close,
                         number_format(value, number));
}

static void render_histogram(struct buffer *out, const struct metric *metric,
                             const struct metric_cell *cell) {
    const char *comma = cell->labels[0] ? "," : "";
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
    append_sample(out, metric, "_sum", cell, to_double(atomic_load(&cell->value)));
    append_sample(out, metric, "_count", cell, (double)count);
}

static int by_labels(const void *a, const void *b) {
    const struct metric_cell *const *left = a, *const *right = b;
    return strcmp((*left)->labels, (*right)->labels);
}

/* A family and its cells at one moment. */
struct snapshot {
    const struct metric *metric;
    struct metric_cell **cells;
    size_t count;
};

static void render_family(struct buffer *out, struct snapshot *snapshot) {
    const struct metric *metric = snapshot->metric;
    qsort(snapshot->cells, snapshot->count, sizeof *snapshot->cells, by_labels);
    buffer_append_format(out, "# HELP %s ", metric->name);
    append_escaped(out, metric->help);
    buffer_append_format(out, "\n# TYPE %s %s\n", metric->name, type_names[metric->type]);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct metric_cell *cell = snapshot->cells[i];
        if (metric->type == METRIC_HISTOGRAM) {
            render_histogram(out, metric, cell);
        } else {
            append_sample(out, metric, "", cell, metric_value(cell));
        }
    }
}

/* Pointers only are copied under the lock: families and cells stay for good, and what does not
 * change in them is read without it. */
static struct snapshot *take_snapshots(size_t *count) {
    pthread_mutex_lock(&lock);
    struct snapshot *snapshots = xcalloc(family_count + 1, sizeof *snapshots);
    *count = 0;
    for (const struct metric *metric = families; metric; metric = metric->next) {
        struct snapshot *snapshot = &snapshots[(*count)++];
        *snapshot = (struct snapshot){.metric = metric, .count = metric->cell_count};
        snapshot->cells = xcalloc(snapshot->count + 1, sizeof *snapshot->cells);
        if (snapshot->count > 0) {
            memcpy(snapshot->cells, metric->cells, snapshot->count * sizeof *snapshot->cells);
        }
    }
    pthread_mutex_unlock(&lock);
    return snapshots;
}

void metrics_render(struct buffer *out) {
    size_t count;
    struct snapshot *snapshots = take_snapshots(&count);
    for (size_t i = 0; i < count; i++) {
        render_family(out, &snapshots[i]);
        free(snapshots[i].cells);
    }
    free(snapshots);
}

#include "metrics.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "metrics_private.h"
#include "xalloc.h"

#define MAX_CELLS 2000

const char *const metrics_type_names[] = {"counter", "gauge", "histogram"};

/* Guards the families and their cell tables. Values of cells are atomic. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *families; /* sorted by name */
static size_t family_count;
static struct metric_scope *shown_scope; /* its families are in the list */

static size_t metrics_count_labels(const char *names) {
    size_t count = names[0] ? 1 : 0;
    for (const char *at = names; *at; at++) {
        count += *at == ',';
    }
    return count;
}

/* Removed objects: metrics_render reads without the lock, so they are freed after it. */
struct removed {
    struct removed *next;
    void (*destroy)(void *object);
    void *object;
};
static struct removed *removed_objects;
static int renders; /* in progress */

static void metrics_free_removed(void) {
    while (renders == 0 && removed_objects) {
        struct removed *removed = removed_objects;
        removed_objects = removed->next;
        removed->destroy(removed->object);
        free(removed);
    }
}

static void metrics_free_later(void (*destroy)(void *object), void *object) {
    struct removed *removed = xcalloc(1, sizeof *removed);
    *removed = (struct removed){removed_objects, destroy, object};
    removed_objects = removed;
    metrics_free_removed();
}

static void metrics_destroy_cell(void *object) {
    struct metric_cell *cell = object;
    free(cell->labels);
    free(cell);
}

static void metrics_destroy_family(void *object) {
    struct metric *metric = object;
    for (size_t i = 0; i < metric->cell_count; i++) {
        metrics_destroy_cell(metric->cells[i]);
    }
    free(metric->cells);
    free(metric->table);
    free(metric->name);
    free(metric->help);
    free(metric->label_names);
    free(metric);
}

static struct metric *metrics_make_family(enum metric_type type, const char *name, const char *help,
                                          const char *label_names) {
    struct metric *metric = xcalloc(1, sizeof *metric);
    *metric = (struct metric){.type = type,
                              .name = xstrdup(name),
                              .help = xstrdup(help),
                              .label_names = xstrdup(label_names),
                              .label_count = metrics_count_labels(label_names)};
    return metric;
}

/* The link to the family with the name, or to the one that would follow it. */
static struct metric **metrics_place_of(const char *name) {
    struct metric **place = &families;
    while (*place && strcmp((*place)->name, name) < 0) {
        place = &(*place)->next;
    }
    return place;
}

static bool metrics_is_at(struct metric *const *place, const char *name) {
    return *place && strcmp((*place)->name, name) == 0;
}

static struct metric *metrics_link_family(struct metric **place, struct metric *metric) {
    metric->next = *place;
    family_count++;
    return *place = metric;
}

static void metrics_unlink_family(struct metric **place) {
    *place = (*place)->next;
    family_count--;
}

static bool metrics_is_alike(const struct metric *metric, enum metric_type type,
                             const char *label_names) {
    return metric->type == type && strcmp(metric->label_names, label_names) == 0;
}

struct metric *metric_family(enum metric_type type, const char *name, const char *help,
                             const char *label_names) {
    pthread_mutex_lock(&lock);
    struct metric **place = metrics_place_of(name);
    if (metrics_is_at(place, name) && (*place)->scopes > 0) {
        metrics_unlink_family(place); /* the program's own replaces that of the scripts */
    }
    if (!metrics_is_at(place, name)) {
        metrics_link_family(place, metrics_make_family(type, name, help, label_names));
    }
    struct metric *metric = *place;
    if (!metrics_is_alike(metric, type, label_names)) {
        fprintf(stderr, "aggregator: metric %s is a %s with labels \"%s\" already\n", name,
                metrics_type_names[metric->type], metric->label_names);
        abort();
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

void metrics_append_escaped(struct buffer *out, const char *value) {
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

static void metrics_append_labels(struct buffer *out, const struct metric *metric,
                                  const char *const *values) {
    const char *name = metric->label_names;
    for (size_t i = 0; i < metric->label_count; i++) {
        size_t len = strcspn(name, ",");
        buffer_append_format(out, "%s%.*s=\"", i ? "," : "", (int)len, name);
        metrics_append_escaped(out, values[i]);
        buffer_append(out, "\"", 1);
        name += len + 1;
    }
}

/* The slot of the labels, or the free slot for them. */
static struct metric_cell **metrics_slot_of(const struct metric *metric, const char *labels,
                                            uint64_t hash) {
    size_t at = hash & (metric->table_size - 1);
    while (metric->table[at] &&
           !(metric->table[at]->hash == hash && strcmp(metric->table[at]->labels, labels) == 0)) {
        at = (at + 1) & (metric->table_size - 1);
    }
    return &metric->table[at];
}

static void metrics_fill_table(struct metric *metric) {
    memset(metric->table, 0, metric->table_size * sizeof(struct metric_cell *));
    for (size_t i = 0; i < metric->cell_count; i++) {
        struct metric_cell *cell = metric->cells[i];
        *metrics_slot_of(metric, cell->labels, cell->hash) = cell;
    }
}

static void metrics_grow(struct metric *metric) {
    metric->cell_cap = metric->cell_cap ? metric->cell_cap * 2 : 4;
    metric->cells = xrealloc(metric->cells, metric->cell_cap * sizeof(struct metric_cell *));
    metric->table_size = metric->cell_cap * 2;
    metric->table = xrealloc(metric->table, metric->table_size * sizeof(struct metric_cell *));
    metrics_fill_table(metric);
}

static struct metric_cell *metrics_find_cell(struct metric *metric, const char *labels) {
    uint64_t hash = hash64(slice_of(labels));
    struct metric_cell **slot = metric->table_size ? metrics_slot_of(metric, labels, hash) : NULL;
    return slot ? *slot : NULL;
}

static struct metric_cell *metrics_add_cell(struct metric *metric, const char *labels) {
    if (metric->cell_count == metric->cell_cap) {
        metrics_grow(metric);
    }
    struct metric_cell *cell = xcalloc(1, sizeof *cell);
    cell->labels = xstrdup(labels);
    cell->hash = hash64(slice_of(labels));
    cell->type = metric->type;
    atomic_init(&cell->hidden, metric->selective);
    cell->at = metric->cell_count;
    *metrics_slot_of(metric, labels, cell->hash) = cell;
    return metric->cells[metric->cell_count++] = cell;
}

/* Beyond MAX_CELLS. Amounts of many label combinations add up in one cell; values of gauges would
 * replace each other. Under the lock. */
static struct metric_cell *metrics_shared_cell(struct metric *metric) {
    static const char *const other[METRIC_MAX_LABELS] = {"other", "other", "other", "other"};
    if (metric->type == METRIC_GAUGE) {
        return metric_unshown(METRIC_GAUGE);
    }
    struct buffer labels = {0};
    metrics_append_labels(&labels, metric, other);
    struct metric_cell *cell = metrics_find_cell(metric, labels.data);
    cell = cell ? cell : metrics_add_cell(metric, labels.data);
    buffer_free(&labels);
    return cell;
}

static void metrics_note_left_out(const struct metric *metric) {
    metric_add(metric_cell(metric_family(METRIC_COUNTER, "ras_metrics_left_out_total",
                                         "Uses of label combinations beyond the 2000 that a metric "
                                         "has: of a gauge they are not shown, else they are in the "
                                         "series \"other\".",
                                         "metric"),
                           metric->name),
               1);
}

static struct metric_cell *metrics_take_cell(struct metric *metric, const char *const *values,
                                             size_t count, int keepers) {
    struct buffer labels = {0};
    if (count != metric->label_count) {
        fprintf(stderr, "aggregator: metric %s has labels \"%s\"\n", metric->name,
                metric->label_names);
        abort();
    }
    buffer_append_text(&labels, "");
    metrics_append_labels(&labels, metric, values);
    pthread_mutex_lock(&lock);
    struct metric_cell *cell = metrics_find_cell(metric, labels.data);
    bool left_out = !cell && metric->cell_count >= MAX_CELLS;
    if (!cell) {
        cell = left_out ? metrics_shared_cell(metric) : metrics_add_cell(metric, labels.data);
    }
    cell->keepers += keepers;
    pthread_mutex_unlock(&lock);
    buffer_free(&labels);
    if (left_out) {
        metrics_note_left_out(metric);
    }
    return cell;
}

struct metric_cell *metric_cell_of(struct metric *metric, const char *const *values, size_t count) {
    return metrics_take_cell(metric, values, count, 0);
}

struct metric_cell *metric_keep(struct metric *metric, const char *const *values, size_t count) {
    return metrics_take_cell(metric, values, count, 1);
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

/* ---- shown cells --------------------------------------------------------------------------- */

/* Moves the cells behind the slot that were put there because their own was taken. */
static void metrics_clear_slot(struct metric *metric, size_t hole) {
    size_t mask = metric->table_size - 1;
    for (size_t at = (hole + 1) & mask; metric->table[at]; at = (at + 1) & mask) {
        size_t home = metric->table[at]->hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            metric->table[hole] = metric->table[at];
            hole = at;
        }
    }
    metric->table[hole] = NULL;
}

static void metrics_remove_cell(struct metric *metric, struct metric_cell *cell) {
    struct metric_cell **slot = metrics_slot_of(metric, cell->labels, cell->hash);
    metrics_clear_slot(metric, (size_t)(slot - metric->table));
    struct metric_cell *last = metric->cells[--metric->cell_count];
    metric->cells[cell->at] = last;
    last->at = cell->at;
    metrics_free_later(metrics_destroy_cell, cell);
}

void metric_forget(struct metric *metric, struct metric_cell *cell) {
    pthread_mutex_lock(&lock);
    cell->keepers -= cell->keepers > 0;
    bool is_of_family = cell->at < metric->cell_count && metric->cells[cell->at] == cell;
    if (is_of_family && cell->keepers == 0) {
        metrics_remove_cell(metric, cell);
    }
    pthread_mutex_unlock(&lock);
}

static bool metrics_is_among(struct metric_cell *const *cells, size_t count,
                             const struct metric_cell *cell) {
    size_t at = 0;
    while (at < count && cells[at] != cell) {
        at++;
    }
    return at < count;
}

void metric_show_only(struct metric *metric, const char *const *values, size_t count) {
    struct metric_cell **shown = xcalloc(count + 1, sizeof(struct metric_cell *));
    for (size_t i = 0; i < count; i++) {
        shown[i] = metric_cell_of(metric, &values[i], 1);
    }
    pthread_mutex_lock(&lock);
    metric->selective = true;
    for (size_t i = 0; i < metric->cell_count; i++) {
        struct metric_cell *cell = metric->cells[i];
        atomic_store(&cell->hidden, !metrics_is_among(shown, count, cell));
    }
    pthread_mutex_unlock(&lock);
    free(shown);
}

/* ---- scopes -------------------------------------------------------------------------------- */

struct scope_item {
    struct metric *metric;
    char *help;
};

struct metric_scope {
    struct scope_item *items;
    size_t count;
};

struct metric_scope *metric_scope_create(void) {
    return xcalloc(1, sizeof(struct metric_scope));
}

static struct scope_item *metrics_find_item(const struct metric_scope *scope, const char *name) {
    for (size_t i = 0; i < scope->count; i++) {
        if (strcmp(scope->items[i].metric->name, name) == 0) {
            return &scope->items[i];
        }
    }
    return NULL;
}

static struct metric *metrics_add_item(struct metric_scope *scope, struct metric *metric,
                                       const char *help) {
    metric->scopes++;
    scope->items = xrealloc(scope->items, (scope->count + 1) * sizeof *scope->items);
    scope->items[scope->count++] = (struct scope_item){metric, xstrdup(help)};
    if (scope == shown_scope && !metrics_is_at(metrics_place_of(metric->name), metric->name)) {
        metrics_link_family(metrics_place_of(metric->name), metric);
    }
    return metric;
}

struct metric *metric_scope_family(struct metric_scope *scope, enum metric_type type,
                                   const char *name, const char *help, const char *label_names,
                                   struct err *err) {
    struct metric *metric = NULL;
    pthread_mutex_lock(&lock);
    const struct scope_item *item = metrics_find_item(scope, name);
    struct metric **place = metrics_place_of(name);
    bool is_shown = metrics_is_at(place, name);
    if (item && metrics_is_alike(item->metric, type, label_names) &&
        strcmp(item->help, help) == 0) {
        metric = item->metric;
    } else if (item) {
        err_set(err, ERR_INPUT,
                "metric %s is already declared as a %s with labels \"%s\" and the help \"%s\": "
                "declare the same here, or choose another name",
                name, metrics_type_names[item->metric->type], item->metric->label_names,
                item->help);
    } else if (is_shown && (*place)->scopes == 0) {
        err_set(err, ERR_INPUT, "metric %s belongs to the program: choose another name", name);
    } else if (is_shown && metrics_is_alike(*place, type, label_names)) {
        metric = metrics_add_item(scope, *place, help);
    } else {
        metric = metrics_add_item(scope, metrics_make_family(type, name, help, label_names), help);
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

/* Under the lock. */
static void metrics_hide_scope(const struct metric_scope *scope) {
    for (size_t i = 0; scope && i < scope->count; i++) {
        struct metric **place = metrics_place_of(scope->items[i].metric->name);
        if (*place == scope->items[i].metric) {
            metrics_unlink_family(place);
        }
    }
}

void metric_scope_show(struct metric_scope *scope) {
    pthread_mutex_lock(&lock);
    metrics_hide_scope(shown_scope);
    shown_scope = scope;
    for (size_t i = 0; i < scope->count; i++) {
        struct metric *metric = scope->items[i].metric;
        if (strcmp(metric->help, scope->items[i].help) != 0) {
            metrics_free_later(free, metric->help);
            metric->help = xstrdup(scope->items[i].help);
        }
        if (!metrics_is_at(metrics_place_of(metric->name), metric->name)) {
            metrics_link_family(metrics_place_of(metric->name), metric);
        }
    }
    pthread_mutex_unlock(&lock);
}

void metric_scope_destroy(struct metric_scope *scope) {
    pthread_mutex_lock(&lock);
    if (scope == shown_scope) {
        metrics_hide_scope(scope);
        shown_scope = NULL;
    }
    for (size_t i = 0; i < scope->count; i++) {
        free(scope->items[i].help);
        if (--scope->items[i].metric->scopes == 0) {
            metrics_free_later(metrics_destroy_family, scope->items[i].metric);
        }
    }
    pthread_mutex_unlock(&lock);
    free(scope->items);
    free(scope);
}

void metrics_visit(const char *name, void (*visit)(const struct metric_cell *cell, void *context),
                   void *context) {
    pthread_mutex_lock(&lock);
    struct metric *const *place = metrics_place_of(name);
    for (size_t i = 0; metrics_is_at(place, name) && i < (*place)->cell_count; i++) {
        visit((*place)->cells[i], context);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- snapshots ------------------------------------------------------------------------------ */

struct metrics_snapshot *metrics_take_snapshots(size_t *count) {
    pthread_mutex_lock(&lock);
    renders++;
    struct metrics_snapshot *snapshots = xcalloc(family_count + 1, sizeof *snapshots);
    *count = 0;
    for (const struct metric *metric = families; metric; metric = metric->next) {
        struct metrics_snapshot *snapshot = &snapshots[(*count)++];
        *snapshot = (struct metrics_snapshot){
            .metric = metric, .help = metric->help, .count = metric->cell_count};
        snapshot->cells = xcalloc(snapshot->count + 1, sizeof *snapshot->cells);
        if (snapshot->count > 0) {
            memcpy(snapshot->cells, metric->cells, snapshot->count * sizeof *snapshot->cells);
        }
    }
    pthread_mutex_unlock(&lock);
    return snapshots;
}

void metrics_drop_snapshots(struct metrics_snapshot *snapshots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(snapshots[i].cells);
    }
    free(snapshots);
    pthread_mutex_lock(&lock);
    renders--;
    metrics_free_removed();
    pthread_mutex_unlock(&lock);
}

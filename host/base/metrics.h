/* metrics: counters, gauges and histograms in Prometheus' text format. Any thread. Families and
 * cells outside a scope live as long as the process. */
#pragma once

#include <stdint.h>

#include "buffer.h"
#include "err.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_MAX_LABELS 4

struct metric;      /* a family: name, help, type, label names */
struct metric_cell; /* one label combination */

/* The family with the name, created at first use. label_names: comma-separated, "" for none.
 * Another type or other labels for the same name abort the process. Buckets: .0001 … 10 s. */
struct metric *metric_family(enum metric_type type, const char *name, const char *help,
                             const char *label_names);

/* The cell for the label values, created at first use; takes as many values as the family has
 * labels. Hot paths keep the pointer. After 2,000 cells a family returns a shared one: "other" of a
 * counter or histogram, one that is on no page of a gauge. ras_metrics_left_out_total counts it. */
struct metric_cell *metric_cell(struct metric *metric, ...);
/* The one cell of a family without labels. */
struct metric_cell *metric_single(enum metric_type type, const char *name, const char *help);
/* A shared cell that is on no page. */
struct metric_cell *metric_unshown(enum metric_type type);
struct metric_cell *metric_cell_of(struct metric *metric, const char *const *values, size_t count);

void metric_add(struct metric_cell *cell, double amount);    /* counter, gauge */
void metric_set(struct metric_cell *cell, double value);     /* gauge */
void metric_observe(struct metric_cell *cell, double value); /* histogram */
double metric_value(const struct metric_cell *cell); /* counter, gauge; a histogram's count */

/* Calls visit for each cell of the program's family with the name; none if there is no such family.
 * Blocks the creation of cells meanwhile, not updates: visit must be short and create none. */
void metrics_visit(const char *name, void (*visit)(const struct metric_cell *cell, void *context),
                   void *context);
const char *metric_labels(const struct metric_cell *cell); /* a="x",b="y" */
/* Adds a histogram's observations in each bucket, which ends at metric_bound; the last has none. */
#define METRIC_BUCKETS 20
void metric_add_buckets(const struct metric_cell *cell, uint64_t counts[METRIC_BUCKETS]);
double metric_bound(size_t bucket); /* seconds; INFINITY for the last */

/* As metric_cell_of: the cell stays until metric_forget was called as often. */
struct metric_cell *metric_keep(struct metric *metric, const char *const *values, size_t count);
/* Removes and frees a cell that nobody else keeps. One of metric_cell: that no other thread uses.
 */
void metric_forget(struct metric *metric, struct metric_cell *cell);
/* For a family with one label: the page shows only the cells with these values. Hidden cells, new
 * ones included, still count. */
void metric_show_only(struct metric *metric, const char *const *values, size_t count);

/* ---- scopes: the families of one generation of scripts -------------------------------------- */

struct metric_scope;
struct metric_scope *metric_scope_create(void);
/* The family with the name in the scope, created at first use. A family of the shown scope with the
 * same name, type and labels is shared, so that its counts continue. NULL with err: the scope
 * declares the name differently, or it belongs to the program. */
struct metric *metric_scope_family(struct metric_scope *scope, enum metric_type type,
                                   const char *name, const char *help, const char *label_names,
                                   struct err *err);
/* The page shows the families of this scope instead of those of the scope shown before. */
void metric_scope_show(struct metric_scope *scope);
/* Frees its families unless another scope shares them. */
void metric_scope_destroy(struct metric_scope *scope);

/* Appends the page, sorted by name and labels. Does not block updates. */
void metrics_render(struct buffer *out);

/* metrics: counters, gauges and histograms in Prometheus' text format. Any thread: cells are
 * atomic. Families and cells live until the process ends, but for those of a scope. */
#ifndef AGG_HOST_BASE_METRICS_H
#define AGG_HOST_BASE_METRICS_H

#include "buffer.h"
#include "err.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_MAX_LABELS 4

struct metric;      /* a family: name, help, type, label names */
struct metric_cell; /* one label combination */

/* The family of that name, made at first use. label_names: comma-separated, "" for none. Asking
 * again with another type or labels is a bug (aborts). Histograms use buckets .0001 … 10 s. */
struct metric *metric_family(enum metric_type type, const char *name, const char *help,
                             const char *label_names);

/* The cell for the label values, made at first use; takes as many values as the family has labels.
 * Hot paths keep the pointer. Past 2,000 cells a family answers one shared "other" cell. */
struct metric_cell *metric_cell(struct metric *metric, ...);
/* The one cell of a family without labels, made at first use. */
struct metric_cell *metric_single(enum metric_type type, const char *name, const char *help);
/* A cell that stands on no page, for what shall not show. */
struct metric_cell *metric_unshown(enum metric_type type);
struct metric_cell *metric_cell_of(struct metric *metric, const char *const *values, size_t count);

void metric_add(struct metric_cell *cell, double amount);    /* counter, gauge */
void metric_set(struct metric_cell *cell, double value);     /* gauge */
void metric_observe(struct metric_cell *cell, double value); /* histogram */
double metric_value(const struct metric_cell *cell); /* counter, gauge; a histogram's count */

/* Frees a cell that nobody else uses; it leaves the page. */
void metric_forget(struct metric *metric, struct metric_cell *cell);
/* Of a family with one label: from now on the page has the cells of these values alone. Others
 * count on unseen, new ones too. */
void metric_show_only(struct metric *metric, const char *const *values, size_t count);

/* ---- scopes: families that come and go together, as what one set of scripts declares -------- */

struct metric_scope;
struct metric_scope *metric_scope_create(void);
/* The family of that name in the scope, made at first use. Where the scope that is shown has one of
 * the same name, type and labels, it is that one: its counts go on. Nothing is on the page before
 * the scope is shown. NULL with err: the scope has it otherwise, or it is the program's own. */
struct metric *metric_scope_family(struct metric_scope *scope, enum metric_type type,
                                   const char *name, const char *help, const char *label_names,
                                   struct err *err);
/* From now on the page has the families of this scope, and none of the one that was shown before.
 */
void metric_scope_show(struct metric_scope *scope);
/* Its families end, but for those that another scope shares. */
void metric_scope_destroy(struct metric_scope *scope);

/* Families by name, cells by label values. Updates go on meanwhile. */
void metrics_render(struct buffer *out);

#endif

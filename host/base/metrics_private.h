/* metrics_private: families and their cells, for metrics.c and metrics_render.c. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "metrics.h"

struct metric_cell {
    char *labels;           /* `a="x",b="y"`, escaped; "" without labels */
    uint64_t hash;          /* of the labels */
    _Atomic uint64_t value; /* the bits of a double; a histogram's sum */
    _Atomic uint64_t buckets[METRIC_BUCKETS];
    enum metric_type type;
    _Atomic bool hidden; /* from the page */
    size_t at;           /* its index in the family's cells */
    int keepers;         /* calls of metric_keep without their metric_forget */
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
    int scopes;                 /* that contain it; 0: the program's own */
    bool selective;             /* new cells are hidden */
};

extern const char *const metrics_type_names[]; /* by enum metric_type */

struct metrics_snapshot {
    const struct metric *metric;
    const char *help;
    struct metric_cell **cells;
    size_t count;
};

/* Copies pointers under the lock. Families and cells live until metrics_drop_snapshots. */
struct metrics_snapshot *metrics_take_snapshots(size_t *count);
void metrics_drop_snapshots(struct metrics_snapshot *snapshots, size_t count);
double metrics_to_double(uint64_t bits); /* of a cell's value */
/* Escapes a label's value, or a help text. */
void metrics_append_escaped(struct buffer *out, const char *text);

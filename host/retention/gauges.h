/* gauges: whether the view's retention keeps its schedule, as metrics of each table. The thread of
 * the retention. */
#pragma once

#include "sweep.h"

#define GAUGES_TABLES 64

struct gauges {
    struct gauge {
        char table[64];
        struct metric_cell *next_move, *unswept;
    } of[GAUGES_TABLES];
    size_t count;
};

/* Sets those of the table. */
void gauges_set(struct gauges *gauges, const struct view_table *table,
                const struct sweep_state *state);
/* Takes them all off the page: another view may have no retention. */
void gauges_forget(struct gauges *gauges);

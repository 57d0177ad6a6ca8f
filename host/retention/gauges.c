#include "gauges.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"

#define DAY_US (86400 * 1000000LL)

static struct metric *gauges_next_move(void) {
    return metric_family(METRIC_GAUGE, "ras_retention_next_move_timestamp_seconds",
                         "When the horizon is to move next, Unix time; long past: it is behind its "
                         "schedule. Looked at once an hour.",
                         "table");
}

static struct metric *gauges_unswept(void) {
    return metric_family(METRIC_GAUGE, "ras_retention_unswept",
                         "1: rows older than the horizon are still being removed.", "table");
}

static struct gauge *gauges_find(struct gauges *gauges, const struct view_table *table) {
    for (size_t i = 0; i < gauges->count; i++) {
        if (strcmp(gauges->of[i].table, table->name) == 0) {
            return &gauges->of[i];
        }
    }
    if (gauges->count == GAUGES_TABLES) {
        return NULL;
    }
    struct gauge *gauge = &gauges->of[gauges->count++];
    snprintf(gauge->table, sizeof gauge->table, "%s", table->name);
    gauge->next_move = metric_cell(gauges_next_move(), table->name);
    gauge->unswept = metric_cell(gauges_unswept(), table->name);
    metric_set(gauge->next_move, (double)clock_wall_us() / 1e6); /* until it has moved once */
    return gauge;
}

/* The horizon is the begin of a day: it moves when the day `days` after it has passed. */
void gauges_set(struct gauges *gauges, const struct view_table *table,
                const struct sweep_state *state) {
    struct gauge *gauge = gauges_find(gauges, table);
    if (gauge && state->moved) {
        int64_t next_us = state->horizon_us + (table->retention->days + 1) * DAY_US;
        metric_set(gauge->next_move, (double)next_us / 1e6);
        metric_set(gauge->unswept, state->swept_us == 0);
    }
}

void gauges_forget(struct gauges *gauges) {
    for (size_t i = 0; i < gauges->count; i++) {
        metric_forget(gauges_next_move(), gauges->of[i].next_move);
        metric_forget(gauges_unswept(), gauges->of[i].unswept);
    }
    gauges->count = 0;
}

#include "pg_metrics.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/metrics.h"

static _Atomic int open_connections, active_connections;

void pg_metrics_count(const char *operation, bool ok, int64_t began_us) {
    struct metric *operations =
        metric_family(METRIC_COUNTER, "ras_db_operations_total",
                      "Statements and transactions sent to the database.", "operation,status");
    struct metric *seconds =
        ok ? metric_family(METRIC_HISTOGRAM, "ras_db_operation_duration_seconds",
                           "From sending a statement or transaction to its reply.", "operation")
           : metric_family(METRIC_HISTOGRAM, "ras_db_failed_operation_duration_seconds",
                           "From sending a statement or transaction to its failure.", "operation");
    metric_add(metric_cell(operations, operation, ok ? "success" : "error"), 1);
    metric_observe(metric_cell(seconds, operation),
                   (double)(clock_monotonic_us() - began_us) / 1e6);
}

void pg_metrics_open(int change) {
    atomic_fetch_add(&open_connections, change);
}

void pg_metrics_active(int change) {
    atomic_fetch_add(&active_connections, change);
}

void pg_metrics_update(void) {
    int active = atomic_load(&active_connections);
    int idle = atomic_load(&open_connections) - active;
    idle = idle > 0 ? idle : 0; /* the two were read one after the other */
    metric_set(metric_single(METRIC_GAUGE, "ras_db_connections", "Connections to the database."),
               active + idle);
    metric_set(metric_single(METRIC_GAUGE, "ras_db_connections_active",
                             "Connections that wait for the database's reply."),
               active);
    metric_set(
        metric_single(METRIC_GAUGE, "ras_db_connections_idle", "Connections that wait for work."),
        idle);
}

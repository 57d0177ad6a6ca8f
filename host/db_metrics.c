#include "db_metrics.h"

#include "base/clock.h"
#include "base/metrics.h"

void db_metrics_count(const char *operation, bool ok, int64_t began_us) {
    struct metric *operations =
        metric_family(METRIC_COUNTER, "ras_db_operations_total",
                      "Statements and transactions sent to the database.", "operation,status");
    struct metric *seconds =
        metric_family(METRIC_HISTOGRAM, "ras_db_operation_duration_seconds",
                      "From sending a statement or transaction to its answer.", "operation");
    metric_add(metric_cell(operations, operation, ok ? "success" : "error"), 1);
    metric_observe(metric_cell(seconds, operation),
                   (double)(clock_monotonic_us() - began_us) / 1e6);
}

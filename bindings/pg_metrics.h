/* pg_metrics: ras_db_operations_total, ras_db_operation_duration_seconds,
 * ras_db_failed_operation_duration_seconds, ras_db_connections, …_active, …_idle. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Counts a statement or transaction that ended now. Names of operations must be few. */
void pg_metrics_count(const char *operation, bool ok, int64_t began_us);
void pg_metrics_open(int change);   /* a connection opened (1) or closed (-1) */
void pg_metrics_active(int change); /* a connection starts (1) or stops (-1) waiting for a reply */
void pg_metrics_update(void);       /* sets the gauges */

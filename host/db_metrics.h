/* db_metrics: ras_db_operations_total{operation,status} and
 * ras_db_operation_duration_seconds{operation}. Any thread. */
#ifndef AGG_HOST_DB_METRICS_H
#define AGG_HOST_DB_METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* Counts one statement or transaction that ended now. operation: a statement's name, of which there
 * are few. */
void db_metrics_count(const char *operation, bool ok, int64_t began_us);

#endif

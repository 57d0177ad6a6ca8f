/* pg_metrics: what is asked of the database, and over how many connections:
 * ras_db_operations_total{operation,status}, ras_db_operation_duration_seconds{operation} and
 * ras_db_failed_operation_duration_seconds{operation}, ras_db_connections, …_active and …_idle. Any
 * thread. */
#ifndef AGG_HOST_DB_METRICS_H
#define AGG_HOST_DB_METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* Counts one statement or transaction that ended now. operation: a statement's name, of which there
 * are few. */
void pg_metrics_count(const char *operation, bool ok, int64_t began_us);
/* Connections have opened (1) or closed (-1). */
void pg_metrics_open(int change);
/* Connections wait for an answer from now on (1), or no longer (-1). */
void pg_metrics_active(int change);
/* Brings the gauges of the connections up to date. */
void pg_metrics_update(void);

#endif

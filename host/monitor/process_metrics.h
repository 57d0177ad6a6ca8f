/* process_metrics: Prometheus' standard process_* metrics, from /proc. Any thread. */
#ifndef AGG_HOST_MONITOR_PROCESS_METRICS_H
#define AGG_HOST_MONITOR_PROCESS_METRICS_H

/* Updates process_* and ras_build_info. A value that cannot be read stays. */
void process_metrics_update(void);

#endif

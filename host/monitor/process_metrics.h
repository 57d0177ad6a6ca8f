/* process_metrics: what Prometheus clients export about their process, from /proc. Any thread. */
#ifndef AGG_HOST_MONITOR_PROCESS_METRICS_H
#define AGG_HOST_MONITOR_PROCESS_METRICS_H

/* Sets process_* and the build info anew; before metrics_render. What cannot be read keeps its last
 * value. */
void process_metrics_update(void);

#endif

/* process_metrics: Prometheus' standard process_* metrics, from /proc. Any thread. */
#pragma once

/* Updates process_* and ras_build_info. A value that cannot be read stays. */
void process_metrics_update(void);

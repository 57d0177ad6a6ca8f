/* platform_metrics: the names under which the platform's dashboards and alerts read what is counted
 * here under names of its own. They are made of the finished page, so that nothing is counted
 * twice. Knows no service: its name comes from the configuration. Any thread. */
#ifndef AGG_HOST_MONITOR_PLATFORM_METRICS_H
#define AGG_HOST_MONITOR_PLATFORM_METRICS_H

#include "base/buffer.h"

/* Appends to a page of metrics what the platform calls otherwise. service: service.name; where it
 * is part of a name, what a name may not hold becomes "_". A family that is not on the page yet has
 * no other name either. */
void platform_metrics_append(struct buffer *page, const char *service);

#endif

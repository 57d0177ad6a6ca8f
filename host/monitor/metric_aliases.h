/* metric_aliases: repeats metrics under the names that the platform's dashboards and alerts use.
 * It copies samples of the rendered page, so that nothing is counted twice. Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends the copies of the families that the page has. service: service.name, a prefix of names;
 * what a metric name may not hold becomes "_". */
void metric_aliases_append(struct buffer *page, const char *service);

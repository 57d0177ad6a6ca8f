/* metrics_page: the body of /metrics. Any thread. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "health.h"

/* Appends all metrics, also under the platform's names. Reads /proc. */
void metrics_page_append(struct health *health, const struct config *config, struct buffer *page);
/* Replaces "ras_", with which names of the page begin, by the prefix and "_"; what no name may hold
 * becomes "_". Labels stay. */
void metrics_page_rename(struct buffer *page, const char *prefix);

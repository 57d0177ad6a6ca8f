/* metrics_page: the body of /metrics. Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends all metrics, also under the platform's names. service: service.name. Reads /proc. */
void metrics_page_append(struct buffer *page, const char *service);

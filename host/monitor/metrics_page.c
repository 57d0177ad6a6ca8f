#include "metrics_page.h"

#include "bindings/pg_metrics.h"
#include "base/metrics.h"
#include "metric_aliases.h"
#include "process_metrics.h"

void metrics_page_append(struct buffer *page, const char *service) {
    process_metrics_update();
    pg_metrics_update();
    metrics_render(page);
    metric_aliases_append(page, service);
}

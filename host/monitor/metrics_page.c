#include "metrics_page.h"

#include <ctype.h>
#include <string.h>

#include "bindings/pg_metrics.h"
#include "base/metrics.h"
#include "metric_aliases.h"
#include "process_metrics.h"

#define OWN_PREFIX "ras_"

static void metrics_page_append_prefix(struct buffer *out, const char *prefix) {
    for (const char *at = prefix; *at; at++) {
        bool may_stand =
            isalnum((unsigned char)*at) && (at > prefix || !isdigit((unsigned char)*at));
        buffer_append(out, may_stand ? at : "_", 1);
    }
    buffer_append_text(out, "_");
}

/* Names stand at the begin of a line of samples, and after blanks in a line of HELP or TYPE. */
static void metrics_page_append_line(struct buffer *out, struct slice line, const char *prefix) {
    size_t len = strlen(OWN_PREFIX), names_end = line.data[0] == '#' ? line.len : 1;
    size_t done = 0;
    for (size_t i = 0; i < names_end && i + len <= line.len; i++) {
        if ((i == 0 || line.data[i - 1] == ' ') && memcmp(line.data + i, OWN_PREFIX, len) == 0) {
            buffer_append(out, line.data + done, i - done);
            metrics_page_append_prefix(out, prefix);
            done = i + len;
        }
    }
    buffer_append(out, line.data + done, line.len - done);
}

void metrics_page_rename(struct buffer *page, const char *prefix) {
    struct buffer renamed = {0};
    const char *at = page->data, *end = at + page->len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = stop ? (size_t)(stop - at) + 1 : (size_t)(end - at);
        metrics_page_append_line(&renamed, (struct slice){at, len}, prefix);
        at += len;
    }
    buffer_free(page);
    *page = renamed;
}

void metrics_page_append(struct health *health, const struct config *config, struct buffer *page) {
    health_show_ready(health);
    process_metrics_update();
    pg_metrics_update();
    metrics_render(page);
    metric_aliases_append(page, config->service.name);
    if (strcmp(config->service.metric_prefix, "ras") != 0) {
        metrics_page_rename(page, config->service.metric_prefix);
    }
}

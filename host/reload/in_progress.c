#include "in_progress.h"

#include "base/clock.h"
#include "base/json_put.h"

struct in_progress_item *in_progress_begin(struct in_progress *in_progress, struct err *err) {
    for (size_t i = 0; i < IN_PROGRESS_MAX; i++) {
        struct in_progress_item *item = &in_progress->items[i];
        if (!item->step) {
            *item = (struct in_progress_item){"reading", clock_wall_us()};
            return item;
        }
    }
    err_set(err, ERR_CONFLICT,
            "%d reloads are in progress: wait until one ends (aggregator status); a rollback is "
            "possible meanwhile",
            IN_PROGRESS_MAX);
    return NULL;
}

void in_progress_end(struct in_progress_item *item) {
    item->step = NULL;
}

void in_progress_list(const struct in_progress *in_progress, struct buffer *json) {
    buffer_append_text(json, "[");
    for (size_t i = 0; i < IN_PROGRESS_MAX; i++) {
        const struct in_progress_item *item = &in_progress->items[i];
        if (item->step) {
            json_open(json, NULL, "{");
            json_put_time(json, "since", item->since_us);
            json_put_text(json, "step", slice_of(item->step));
            buffer_append_text(json, "}");
        }
    }
    buffer_append_text(json, "]");
}

#include "under_way.h"

#include "../base/clock.h"
#include "../base/json_put.h"

struct under_way_item *under_way_begin(struct under_way *under_way, struct err *err) {
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        struct under_way_item *item = &under_way->items[i];
        if (!item->step) {
            *item = (struct under_way_item){"reading", clock_wall_us()};
            return item;
        }
    }
    err_set(err, ERR_CONFLICT,
            "%d reloads are under way: wait for one to end (aggregator status); a rollback is "
            "possible meanwhile",
            UNDER_WAY_MAX);
    return NULL;
}

void under_way_end(struct under_way_item *item) {
    item->step = NULL;
}

void under_way_list(const struct under_way *under_way, struct buffer *json) {
    buffer_append_text(json, "[");
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        const struct under_way_item *item = &under_way->items[i];
        if (item->step) {
            json_put_name(json, NULL);
            buffer_append_text(json, "{");
            json_put_time(json, "since", item->since_us);
            json_put_text(json, "step", slice_of(item->step));
            buffer_append_text(json, "}");
        }
    }
    buffer_append_text(json, "]");
}

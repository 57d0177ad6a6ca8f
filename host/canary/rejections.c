#include "rejections.h"

#include <stdlib.h>

#include "base/json_put.h"
#include "base/xalloc.h"

#define EXAMPLES 10 /* of each side */

struct rejection_count {
    const char *handler; /* a generation's */
    struct slice reason; /* owned */
    int64_t counts[CANARY_SIDES];
};

static const struct event *rejections_event_of(const struct side *side, size_t at) {
    return at == SIDE_NO_EVENT ? NULL : &side->batch.events[at];
}

static bool rejections_is_rejected(const struct event *event) {
    return event && event->state == EVENT_REJECTED;
}

static const char *rejections_handler_of(const struct side *side, const struct event *event) {
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(side->pipeline.generation, &count);
    return handlers[side->pipeline.partitions.items[event->record.partition].handler].name;
}

static struct rejection_count *rejections_find(struct rejections *rejections, const char *handler,
                                               struct slice reason) {
    for (size_t i = 0; i < rejections->count; i++) {
        struct rejection_count *known = &rejections->counts[i];
        if (strcmp(known->handler, handler) == 0 && slice_equal(known->reason, reason)) {
            return known;
        }
    }
    size_t bytes = (rejections->count + 1) * sizeof *rejections->counts;
    char *copy = xcalloc(1, reason.len + 1);
    memcpy(copy, reason.data, reason.len);
    rejections->counts = xrealloc(rejections->counts, bytes);
    struct rejection_count *added = &rejections->counts[rejections->count++];
    *added = (struct rejection_count){.handler = handler, .reason = {copy, reason.len}};
    return added;
}

static void rejections_add_example(struct buffer *examples, const struct side *side,
                                   const struct event *event) {
    json_put_name(examples, NULL);
    buffer_append_text(examples, "{");
    side_put_event(examples, side, event);
    json_put_text(examples, "reason", event->reason);
    json_put_text(examples, "detail", event->detail);
    buffer_append_text(examples, "}");
}

void rejections_note(struct rejections *rejections, const struct side sides[CANARY_SIDES],
                     const size_t at[CANARY_SIDES]) {
    for (int i = 0; i < CANARY_SIDES; i++) {
        const struct event *event = rejections_event_of(&sides[i], at[i]);
        if (!rejections_is_rejected(event)) {
            continue;
        }
        rejections_find(rejections, rejections_handler_of(&sides[i], event), event->reason)
            ->counts[i]++;
        if (!rejections_is_rejected(rejections_event_of(&sides[!i], at[!i])) &&
            rejections->alone[i]++ < EXAMPLES) {
            rejections_add_example(&rejections->examples[i], &sides[i], event);
        }
    }
}

void rejections_append(const struct rejections *rejections, struct buffer *json) {
    json_put_name(json, "rejected");
    buffer_append_text(json, "[");
    for (size_t i = 0; i < rejections->count; i++) {
        const struct rejection_count *counted = &rejections->counts[i];
        json_put_name(json, NULL);
        buffer_append_text(json, "{");
        json_put_text(json, "handler", slice_of(counted->handler));
        json_put_text(json, "reason", counted->reason);
        json_put_int(json, "old", counted->counts[CANARY_OLD]);
        json_put_int(json, "new", counted->counts[CANARY_NEW]);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
    json_put_list(json, "rejected_by_old_only", &rejections->examples[CANARY_OLD]);
    json_put_list(json, "rejected_by_new_only", &rejections->examples[CANARY_NEW]);
}

void rejections_free(struct rejections *rejections) {
    for (size_t i = 0; i < rejections->count; i++) {
        free((char *)rejections->counts[i].reason.data);
    }
    free(rejections->counts);
    buffer_free(&rejections->examples[CANARY_OLD]);
    buffer_free(&rejections->examples[CANARY_NEW]);
}

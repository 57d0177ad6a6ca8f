/* verdicts: what became of a batch's events, told to the breaker. Before its commit a batch is on
 * trial, behind the one that is being committed; what was committed counts, and counts once. */
#include "pipeline.h"

/* Handlers have their index + 1: 0 is for topics that none declares. */
static size_t window_of(const struct event *event) {
    return event->handler < 0 ? 0 : (size_t)event->handler + 1;
}

/* A duplicate says nothing of its handler: it was not run. Nor does what rests on outside. */
static bool is_verdict(const struct event *event) {
    return event->state != EVENT_PENDING && event->state != EVENT_DUPLICATE &&
           event->state != EVENT_OUTSIDE;
}

size_t verdicts_windows(const struct script_generation *generation) {
    size_t count;
    script_generation_handlers(generation, &count);
    return count + 1;
}

static void open_breaker(struct pipeline *pipeline, const struct event *event) {
    size_t count, window = window_of(event);
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &count);
    char detail[160];
    snprintf(detail, sizeof detail, "%.*s: %.*s", (int)event->reason.len, event->reason.data,
             (int)event->detail.len, event->detail.data);
    breaker_open(&pipeline->breaker, window,
                 window > 0 ? handlers[window - 1].name : "topics without a handler", detail);
}

static bool judge(struct pipeline *pipeline, const struct batch *batch, size_t first, size_t last) {
    for (size_t i = first; i < last; i++) {
        const struct event *event = &batch->events[i];
        if (is_verdict(event) &&
            !breaker_judge(&pipeline->breaker, window_of(event), event->state == EVENT_REJECTED)) {
            open_breaker(pipeline, event);
            return false;
        }
    }
    return true;
}

bool verdicts_judge(struct pipeline *pipeline, struct batch *batch, size_t last) {
    const struct batch *before = pipeline->committing;
    if (batch->rejected == 0) {
        return true;
    }
    if (batch->judged == 0) {
        breaker_judge_anew(&pipeline->breaker);
        if (before && before != batch && !batch_is_left(pipeline, before) &&
            !judge(pipeline, before, 0, before->count)) {
            return false;
        }
    }
    bool good = judge(pipeline, batch, batch->judged, last);
    batch->judged = last;
    return good;
}

void verdicts_enter(struct pipeline *pipeline, const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_REJECTED) {
            reject_count(pipeline, event);
        }
        if (is_verdict(event) && !batch_is_left(pipeline, batch)) {
            breaker_enter(&pipeline->breaker, window_of(event), event->state == EVENT_REJECTED);
        }
    }
}

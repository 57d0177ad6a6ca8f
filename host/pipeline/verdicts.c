/* verdicts: what became of a batch's events, told to the breaker. Before its commit a batch is on
 * trial, behind the one that is being committed; what was committed counts, and counts once. */
#include "pipeline.h"

/* A duplicate says nothing of its handler: it was not run. Nor does what waits or rests on
 * outside. */
static bool is_verdict(const struct event *event) {
    return event->handler >= 0 && event->state != EVENT_PENDING &&
           event->state != EVENT_DUPLICATE && event->state != EVENT_WAITS &&
           event->state != EVENT_OUTSIDE;
}

static void open_breaker(struct pipeline *pipeline, const struct event *event) {
    size_t count, handler = (size_t)event->handler;
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &count);
    char detail[500], reason[BREAKER_REASON_CAP];
    snprintf(detail, sizeof detail, "%.*s: %.*s", (int)event->reason.len, event->reason.data,
             (int)event->detail.len, event->detail.data);
    breaker_say(&pipeline->breaker, handler, handlers[handler].name, detail, reason);
    holding_begin(pipeline, handler, WAIT_BREAKER, reason);
}

static int judge(struct pipeline *pipeline, const struct batch *batch, size_t first, size_t last) {
    for (size_t i = first; i < last; i++) {
        const struct event *event = &batch->events[i];
        size_t handler = (size_t)event->handler;
        if (is_verdict(event) &&
            !breaker_judge(&pipeline->breaker, handler, event->state == EVENT_REJECTED) &&
            !waits_holds(&pipeline->waits, handler)) {
            open_breaker(pipeline, event);
            return event->handler;
        }
    }
    return -1;
}

int verdicts_judge(struct pipeline *pipeline, struct batch *batch, size_t last) {
    const struct batch *before = pipeline->committing;
    if (batch->rejected == 0) {
        return -1;
    }
    if (batch->judged == 0) {
        breaker_judge_anew(&pipeline->breaker);
        int opened = before && before != batch && !batch_is_left(pipeline, before)
                         ? judge(pipeline, before, 0, before->count)
                         : -1;
        if (opened >= 0) {
            return opened;
        }
    }
    int opened = judge(pipeline, batch, batch->judged, last);
    batch->judged = last;
    return opened;
}

void verdicts_enter(struct pipeline *pipeline, const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_REJECTED) {
            reject_count(pipeline, event);
        }
        if (is_verdict(event) && !batch_is_left(pipeline, batch)) {
            breaker_enter(&pipeline->breaker, (size_t)event->handler,
                          event->state == EVENT_REJECTED);
            holding_settle(pipeline, (size_t)event->handler);
        }
    }
}

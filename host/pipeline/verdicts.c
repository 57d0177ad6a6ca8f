/* verdicts: a batch is judged together with the one that is being committed before it. Only
 * committed events enter the breaker's windows. */
#include "verdicts.h"

#include "pipeline.h"
#include "rejection.h"
#include "topic_waits.h"

/* A duplicate, a waiting event and an EVENT_OUTSIDE are no verdict on their handler. */
static bool verdicts_counts(const struct event *event) {
    return event->handler >= 0 && event->state != EVENT_PENDING &&
           event->state != EVENT_DUPLICATE && event->state != EVENT_WAITS &&
           event->state != EVENT_OUTSIDE;
}

static void verdicts_open_breaker(struct pipeline *pipeline, const struct event *event) {
    size_t count, handler = (size_t)event->handler;
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &count);
    char detail[500], reason[BREAKER_REASON_CAP];
    snprintf(detail, sizeof detail, "%.*s: %.*s", (int)event->reason.len, event->reason.data,
             (int)event->detail.len, event->detail.data);
    breaker_describe(&pipeline->breaker, handler, handlers[handler].name, detail, reason);
    topic_waits_begin(pipeline, handler, WAIT_BREAKER, reason);
}

static int verdicts_judge_range(struct pipeline *pipeline, const struct batch *batch, size_t first,
                                size_t last) {
    for (size_t i = first; i < last; i++) {
        const struct event *event = &batch->events[i];
        size_t handler = (size_t)event->handler;
        if (verdicts_counts(event) &&
            !breaker_judge(&pipeline->breaker, handler, event->state == EVENT_REJECTED) &&
            !waits_holds(&pipeline->waits, handler)) {
            verdicts_open_breaker(pipeline, event);
            return event->handler;
        }
    }
    return -1;
}

/* Judges the events in [judged, last) in order. Returns the handler whose breaker opens, which
 * waits from now on; -1: none. */
static int verdicts_judge(struct pipeline *pipeline, struct batch *batch, size_t last) {
    const struct batch *before = pipeline->transaction.batch;
    if (batch->rejected == 0) {
        return -1;
    }
    if (batch->judged == 0) {
        breaker_judge_restart(&pipeline->breaker);
        int opened = before && before != batch && !batch_is_outdated(pipeline, before)
                         ? verdicts_judge_range(pipeline, before, 0, before->count)
                         : -1;
        if (opened >= 0) {
            return opened;
        }
    }
    int opened = verdicts_judge_range(pipeline, batch, batch->judged, last);
    batch->judged = last;
    return opened;
}

void verdicts_leave_out(struct pipeline *pipeline, struct batch *batch, size_t last) {
    for (int opened = verdicts_judge(pipeline, batch, last); opened >= 0;
         opened = verdicts_judge(pipeline, batch, last)) {
        batch_leave_out(pipeline, batch, opened, 0);
    }
}

bool verdicts_permit(struct pipeline *pipeline, struct batch *batch, size_t last, struct err *err) {
    pipeline->transaction.opened_breaker =
        !batch_is_outdated(pipeline, batch) && verdicts_judge(pipeline, batch, last) >= 0;
    return !pipeline->transaction.opened_breaker ||
           err_set(err, ERR_UNAVAILABLE, "too many events are rejected");
}

void verdicts_enter(struct pipeline *pipeline, const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_REJECTED) {
            rejection_count(pipeline, event);
        }
        if (verdicts_counts(event) && !batch_is_outdated(pipeline, batch)) {
            breaker_enter(&pipeline->breaker, (size_t)event->handler,
                          event->state == EVENT_REJECTED);
            topic_waits_note_committed(pipeline, (size_t)event->handler);
        }
    }
}

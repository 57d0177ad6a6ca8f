#include "topic_waits.h"

#include "base/log.h"
#include "pipeline.h"

static const struct script_handler *topic_waits_handler(const struct pipeline *pipeline,
                                                        size_t handler) {
    size_t count;
    return &script_generation_handlers(pipeline->generation, &count)[handler];
}

void topic_waits_begin(struct pipeline *pipeline, size_t handler, enum wait_cause cause,
                       const char *reason) {
    const struct script_handler *declared = topic_waits_handler(pipeline, handler);
    if (!waits_hold(&pipeline->waits, handler, cause, reason, waits_now())) {
        return;
    }
    log_error(cause == WAIT_BREAKER
                  ? "a handler's topics wait: too many of its events are rejected; correct it and "
                    "reload, or run `aggregator resume` to reject them"
                  : "a handler's topics wait: what it depends on is unavailable",
              LOG_TEXT("handler", declared->name), LOG_TEXT("topic", declared->topics[0]),
              LOG_INT("topics", (int64_t)declared->topic_count), LOG_TEXT("reason", reason));
}

void topic_waits_note_committed(struct pipeline *pipeline, size_t handler) {
    if (waits_end(&pipeline->waits, handler)) {
        const struct script_handler *declared = topic_waits_handler(pipeline, handler);
        log_info("a handler's topics resumed", LOG_TEXT("handler", declared->name),
                 LOG_TEXT("topic", declared->topics[0]),
                 LOG_INT("topics", (int64_t)declared->topic_count));
    }
}

bool topic_waits_hold(const struct pipeline *pipeline, const struct partition *partition) {
    return partition->trouble.retry_at_us != 0 ||
           (partition->handler >= 0 && waits_holds(&pipeline->waits, (size_t)partition->handler));
}

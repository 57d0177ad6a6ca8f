#include "dry_run.h"

#include "base/clock.h"

bool dry_run_open(struct dry_run *dry_run, struct script_generation *generation, const char *muted,
                  void (*release)(void *owner), struct err *err) {
    *dry_run = (struct dry_run){0};
    struct pipeline_options options = {
        .generation = generation,
        .application_name = "aggregator",
        .muted = muted,
        .no_breaker = true,
        .quiet = true,
        .release = release,
    };
    batch_init(&dry_run->batch, generation);
    return pipeline_open(&dry_run->pipeline, &options, err);
}

void dry_run_close(struct dry_run *dry_run) {
    batch_free(&dry_run->pipeline, &dry_run->batch);
    pipeline_close(&dry_run->pipeline);
}

size_t dry_run_add_partition(struct dry_run *dry_run, const char *topic, int32_t number,
                             int handler) {
    size_t at = partitions_add(&dry_run->pipeline.partitions, topic, number);
    dry_run->pipeline.partitions.items[at].handler = handler;
    return at;
}

void dry_run_expect_horizon(struct dry_run *dry_run) {
    struct pipeline *pipeline = &dry_run->pipeline;
    horizon_expect(&pipeline->horizon, script_generation_view(pipeline->generation),
                   clock_wall_us());
}

void dry_run_clear(struct dry_run *dry_run) {
    batch_clear(&dry_run->pipeline, &dry_run->batch);
}

bool dry_run_handle(struct dry_run *dry_run, const struct log_record *message,
                    struct dry_run_outcome *outcome, struct err *err) {
    struct pipeline *pipeline = &dry_run->pipeline;
    struct batch *batch = &dry_run->batch;
    size_t first = merge_op_count(batch->merge), handler_count, count, message_count;
    size_t first_message;
    merge_messages(batch->merge, &first_message);
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &handler_count);
    batch_take(pipeline, batch, message);
    batch_handle(pipeline, batch, INT64_MAX);
    if (batch->handled < batch->count) {
        return batch_describe_unhandled(pipeline, batch, err);
    }
    const struct merge_accepted *merges = merge_accepted_ops(batch->merge, &count);
    const struct outbox_message *messages = merge_messages(batch->merge, &message_count);
    const struct event *event = &batch->events[batch->count - 1];
    bool applied = event->state == EVENT_APPLIED && pipeline->scripts;
    *outcome = (struct dry_run_outcome){
        .view = script_generation_view(pipeline->generation),
        .handler = &handlers[pipeline->partitions.items[message->partition].handler],
        .event = event,
        .merges = count > first ? merges + first : NULL,
        .merge_count = count - first,
        .messages = message_count > first_message ? messages + first_message : NULL,
        .message_count = message_count - first_message,
        .touches = applied ? script_instance_touches(pipeline->scripts) : NULL,
        .passed =
            event->state == EVENT_EXPIRED ? horizon_passed(&pipeline->horizon, event->at_us) : NULL,
    };
    return true;
}

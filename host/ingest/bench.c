#include "bench.h"

bool bench_open(struct bench *bench, struct script_generation *generation, const char *muted,
                void (*release)(void *owner), struct err *err) {
    *bench = (struct bench){0};
    struct pipeline_options options = {
        .generation = generation,
        .application_name = "aggregator",
        .muted = muted,
        .no_breaker = true,
        .quiet = true,
        .release = release,
    };
    batch_init(&bench->batch, generation);
    return pipeline_open(&bench->pipeline, &options, err);
}

void bench_close(struct bench *bench) {
    batch_free(&bench->pipeline, &bench->batch);
    pipeline_close(&bench->pipeline);
}

size_t bench_add_partition(struct bench *bench, const char *topic, int32_t number, int handler) {
    size_t at = partitions_add(&bench->pipeline.partitions, topic, number);
    bench->pipeline.partitions.items[at].handler = handler;
    return at;
}

void bench_clear(struct bench *bench) {
    batch_clear(&bench->pipeline, &bench->batch);
}

bool bench_handle(struct bench *bench, const struct message *message, struct bench_outcome *outcome,
                  struct err *err) {
    struct pipeline *pipeline = &bench->pipeline;
    struct batch *batch = &bench->batch;
    size_t first = merge_op_count(batch->merge), handler_count, count, message_count;
    size_t first_message;
    merge_messages(batch->merge, &first_message);
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &handler_count);
    batch_take(pipeline, batch, message);
    batch_handle(pipeline, batch);
    if (batch->handled < batch->count) {
        return batch_say_unhandled(pipeline, batch, err);
    }
    const struct merge_accepted *merges = merge_accepted_ops(batch->merge, &count);
    const struct outbox_message *messages = merge_messages(batch->merge, &message_count);
    *outcome = (struct bench_outcome){
        .view = script_generation_view(pipeline->generation),
        .handler = &handlers[pipeline->partitions.items[message->partition].handler],
        .event = &batch->events[batch->count - 1],
        .merges = count > first ? merges + first : NULL,
        .merge_count = count - first,
        .messages = message_count > first_message ? messages + first_message : NULL,
        .message_count = message_count - first_message,
    };
    return true;
}

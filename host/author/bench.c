#include "bench.h"

bool bench_open(struct bench *bench, const struct config *config,
                struct script_generation *generation, const char *reason,
                void (*release)(void *owner), struct err *err) {
    *bench = (struct bench){.config = *config};
    bench->config.ingest.breaker_share_percent = 100;
    struct pipeline_options options = {
        .config = &bench->config,
        .generation = generation,
        .application_name = "aggregator",
        .isolation = reason,
        .quiet = true,
        .release = release,
    };
    batch_init(&bench->batch, script_generation_view(generation));
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

struct bench_outcome bench_handle(struct bench *bench, const struct message *message) {
    struct pipeline *pipeline = &bench->pipeline;
    size_t first = merge_op_count(bench->batch.merge), handler_count, count;
    const struct script_handler *handlers =
        script_generation_handlers(pipeline->generation, &handler_count);
    batch_take(pipeline, &bench->batch, message);
    batch_handle(pipeline, &bench->batch);
    const struct merge_accepted *merges = merge_accepted_ops(bench->batch.merge, &count);
    return (struct bench_outcome){
        .view = script_generation_view(pipeline->generation),
        .handler = &handlers[pipeline->partitions.items[message->partition].handler],
        .event = &bench->batch.events[bench->batch.count - 1],
        .merges = count > first ? merges + first : NULL,
        .merge_count = count - first,
    };
}

#include "batch.h"

#include <stdlib.h>

#include "base/traceparent.h"
#include "base/xalloc.h"
#include "bindings/kafka_consumer.h"
#include "pipeline.h"

#define BESIDE_REQUESTS_SHARE 2 /* of ingest.batch_max_events */

struct log_record log_record_of_kafka(const struct kafka_message *message, size_t partition) {
    return (struct log_record){
        .partition = partition,
        .offset = message->offset,
        .broker_time_us = message->time_us,
        .payload = message->value,
        .traceparent = traceparent_read(kafka_message_header(message, "traceparent")),
        .owner = message->owner,
    };
}

void batch_init(struct batch *batch, struct script_generation *generation) {
    *batch = (struct batch){.generation = script_generation_ref(generation),
                            .merge = merge_create(script_generation_view(generation))};
}

static void batch_release(struct pipeline *pipeline, struct event *event) {
    if (pipeline->options.release && event->record.owner) {
        pipeline->options.release(event->record.owner);
    }
    event->record.owner = NULL;
}

static void batch_empty(struct pipeline *pipeline, struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        batch_release(pipeline, &batch->events[i]);
    }
    batch->count = batch->bytes = batch->rejected = batch->waiting = batch->outside = 0;
    batch->marks = batch->looked_up = batch->forgotten = batch->handled = batch->judged = 0;
    batch->released = 0;
    batch->traced = batch->is_old = batch->is_partial = false;
    encode_forget(batch);
    if (pipeline->transaction.batch == batch) {
        pipeline->transaction.batch = NULL;
    }
}

void batch_free(struct pipeline *pipeline, struct batch *batch) {
    batch_empty(pipeline, batch);
    free(batch->events);
    free(batch->advances);
    free(batch->touched);
    merge_destroy(batch->merge);
    script_generation_unref(batch->generation);
}

static const struct advance batch_no_advance = {.next = -1};

static void batch_forget_advances(struct pipeline *pipeline, struct batch *batch) {
    size_t count = pipeline->partitions.count;
    if (count == batch->advance_count && batch->advances) {
        for (size_t i = 0; i < batch->touched_count; i++) {
            batch->advances[batch->touched[i]] = batch_no_advance;
        }
        batch->touched_count = 0;
        return;
    }
    batch->advances = xrealloc(batch->advances, (count + 1) * sizeof *batch->advances);
    batch->touched = xrealloc(batch->touched, (count + 1) * sizeof *batch->touched);
    batch->advance_count = count;
    batch->touched_count = 0;
    for (size_t i = 0; i < count; i++) {
        batch->advances[i] = batch_no_advance;
    }
}

void batch_clear(struct pipeline *pipeline, struct batch *batch) {
    batch_empty(pipeline, batch);
    struct script_generation *old = batch->generation;
    batch->generation = script_generation_ref(pipeline->generation);
    merge_reset(batch->merge, script_generation_view(batch->generation));
    script_generation_unref(old);
    batch_forget_advances(pipeline, batch);
}

static size_t batch_limit(const struct pipeline *pipeline) {
    size_t most = (size_t)pipeline->config->ingest.batch_max_events;
    size_t beside = (most + BESIDE_REQUESTS_SHARE - 1) / BESIDE_REQUESTS_SHARE;
    return pipeline->beside_requests && beside < pipeline->batch_limit ? beside
                                                                       : pipeline->batch_limit;
}

bool batch_full(const struct pipeline *pipeline, const struct batch *batch) {
    return batch->count >= batch_limit(pipeline) ||
           batch->bytes >= (size_t)pipeline->config->ingest.batch_max_bytes ||
           batch_has_merged_enough(pipeline, batch);
}

bool batch_has_merged_enough(const struct pipeline *pipeline, const struct batch *batch) {
    return merge_bytes(batch->merge) >= (size_t)pipeline->config->ingest.batch_max_merge_bytes;
}

bool batch_is_ready(const struct pipeline *pipeline, const struct batch *batch) {
    return batch->handled == batch->count ||
           (batch->handled > 0 && batch_has_merged_enough(pipeline, batch));
}

bool batch_is_outdated(const struct pipeline *pipeline, const struct batch *batch) {
    return batch->generation != pipeline->generation;
}

/* ---- taking records ------------------------------------------------------------------------ */

/* expected: the partition's offset before the batch. */
static void batch_advance(struct batch *batch, const struct log_record *record, int64_t expected) {
    struct advance *advance = &batch->advances[record->partition];
    if (!advance->touched) {
        advance->touched = true;
        batch->touched[batch->touched_count++] = record->partition;
    }
    if (advance->next < 0) {
        advance->expected = expected;
    }
    advance->next = record->offset + 1;
    advance->last_time_us = record->broker_time_us;
}

static void batch_advance_partition(struct pipeline *pipeline, struct batch *batch,
                                    const struct log_record *record) {
    struct partition *partition = &pipeline->partitions.items[record->partition];
    batch_advance(batch, record, partition->next_offset);
    partition->next_offset = record->offset + 1;
    partition->broker_time_us = record->broker_time_us;
}

static void batch_add(struct batch *batch, const struct log_record *record, int handler) {
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 256;
        batch->events = xrealloc(batch->events, batch->capacity * sizeof *batch->events);
    }
    batch->events[batch->count++] = (struct event){.record = *record, .handler = handler};
    batch->bytes += record->payload.len;
    batch->traced = batch->traced || record->traceparent.data;
    encode_forget(batch);
}

void batch_take(struct pipeline *pipeline, struct batch *batch, const struct log_record *record) {
    batch_add(batch, record, pipeline->partitions.items[record->partition].handler);
    batch_advance_partition(pipeline, batch, record);
}

/* ---- releasing records --------------------------------------------------------------------- */

/* Copies what reaction marks and messages need of the record. Only rejections need the rest. */
static void batch_release_event(struct pipeline *pipeline, struct batch *batch,
                                struct event *event) {
    struct slice traceparent = event->record.traceparent;
    event->record.traceparent = arena_copy(merge_arena(batch->merge), traceparent);
    event->record.payload = event->correlation_id = (struct slice){0};
    event->values = NULL;
    batch_release(pipeline, event);
    batch->is_partial = true;
}

void batch_release_handled(struct pipeline *pipeline, struct batch *batch) {
    if (!pipeline->options.releases_early || pipeline->keeps_batches > 0) {
        return;
    }
    for (; batch->released < batch->handled; batch->released++) {
        struct event *event = &batch->events[batch->released];
        if (event->state != EVENT_REJECTED && event->record.owner) {
            batch_release_event(pipeline, batch, event);
        }
    }
}

/* ---- removing events ----------------------------------------------------------------------- */

static bool batch_is_unapplied(void *context, size_t event) {
    const struct batch *batch = context;
    return batch->events[event].state != EVENT_APPLIED;
}

void batch_forget_unapplied(struct batch *batch) {
    merge_forget(batch->merge, batch_is_unapplied, batch);
}

/* Computes the handler's offset changes again, without the events that wait. */
static void batch_move_back(struct pipeline *pipeline, struct batch *batch, int handler) {
    struct partition *partitions = pipeline->partitions.items;
    for (size_t i = 0; i < batch->touched_count; i++) {
        size_t p = batch->touched[i];
        if (partitions[p].handler == handler && batch->advances[p].next >= 0) {
            batch->advances[p].next = -1;
            partitions[p].next_offset = batch->advances[p].expected;
            partitions[p].end_offset = -1;
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        struct partition *partition = &partitions[event->record.partition];
        if (partition->handler == handler && event->state != EVENT_WAITS) {
            batch_advance(batch, &event->record, batch->advances[event->record.partition].expected);
            partition->next_offset = event->record.offset + 1;
        }
    }
}

void batch_leave_out(struct pipeline *pipeline, struct batch *batch, int handler, size_t first) {
    bool has_merged = false;
    for (size_t i = first; i < batch->count; i++) {
        struct event *event = &batch->events[i];
        if (event->handler != handler || event->state == EVENT_WAITS) {
            continue;
        }
        has_merged = has_merged || event->state == EVENT_APPLIED;
        batch->rejected -= event->state == EVENT_REJECTED;
        batch->waiting++;
        event->state = EVENT_WAITS;
    }
    batch_move_back(pipeline, batch, handler);
    if (has_merged) {
        batch_forget_unapplied(batch);
        merge_select(batch->merge, 0, batch->count);
        encode_forget(batch);
    }
    batch->judged = 0;
}

/* ---- splitting ----------------------------------------------------------------------------- */

/* rest is empty. */
static void batch_split_advances(struct batch *batch, struct batch *rest) {
    for (size_t i = 0; i < batch->touched_count; i++) {
        batch->advances[batch->touched[i]].next = -1;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        const struct advance *advance = &batch->advances[event->record.partition];
        if (event->state == EVENT_WAITS) {
            continue;
        }
        if (i < batch->handled) {
            batch_advance(batch, &event->record, advance->expected);
        } else {
            batch_advance(rest, &event->record,
                          advance->next >= 0 ? advance->next : advance->expected);
        }
    }
}

void batch_split(struct pipeline *pipeline, struct batch *batch, struct batch *rest) {
    if (batch->handled == batch->count) {
        return;
    }
    batch_clear(pipeline, rest);
    batch_split_advances(batch, rest);
    for (size_t i = batch->handled; i < batch->count; i++) {
        if (batch->events[i].state == EVENT_WAITS) {
            batch_release(pipeline, &batch->events[i]);
            batch->waiting--;
            continue;
        }
        batch_add(rest, &batch->events[i].record, batch->events[i].handler);
        batch->bytes -= batch->events[i].record.payload.len;
        batch->rejected -= batch->events[i].state == EVENT_REJECTED;
    }
    batch->count = batch->looked_up = batch->handled;
    batch->forgotten = batch->forgotten < batch->count ? batch->forgotten : batch->count;
    encode_forget(batch);
}

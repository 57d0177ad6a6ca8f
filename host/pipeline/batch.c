/* batch: messages become events, events become merged rows. */
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/fault.h"
#include "../base/hash.h"
#include "../base/log.h"
#include "../base/traceparent.h"
#include "../base/xalloc.h"
#include "pipeline.h"

#define EXTRACTED_CHUNK_BYTES (256UL * 1024)

void batch_init(struct batch *batch, struct script_generation *generation) {
    *batch = (struct batch){.generation = script_generation_ref(generation),
                            .extracted = arena_create(EXTRACTED_CHUNK_BYTES),
                            .merge = merge_create(script_generation_view(generation))};
}

static void release_messages(struct pipeline *pipeline, struct batch *batch) {
    for (size_t i = 0; pipeline->options.release && i < batch->count; i++) {
        pipeline->options.release(batch->events[i].message.owner);
    }
    batch->count = batch->bytes = batch->rejected = batch->outside = batch->marks = 0;
    batch->waiting = 0;
    batch->traced = false;
    batch->looked_up = batch->forgotten = batch->handled = batch->judged = 0;
    arena_reset(batch->extracted);
    encode_forget(batch);
    if (pipeline->committing == batch) {
        pipeline->committing = NULL;
    }
}

void batch_free(struct pipeline *pipeline, struct batch *batch) {
    release_messages(pipeline, batch);
    free(batch->events);
    free(batch->advances);
    encode_free(&batch->encoded);
    arena_destroy(batch->extracted);
    merge_destroy(batch->merge);
    script_generation_unref(batch->generation);
}

static void forget_advances(struct pipeline *pipeline, struct batch *batch) {
    size_t count = pipeline->partitions.count;
    if (count != batch->advance_count || !batch->advances) {
        batch->advances = xrealloc(batch->advances, (count + 1) * sizeof *batch->advances);
        batch->advance_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        batch->advances[i] = (struct advance){0, -1, 0};
    }
}

void batch_clear(struct pipeline *pipeline, struct batch *batch) {
    release_messages(pipeline, batch);
    struct script_generation *old = batch->generation;
    batch->generation = script_generation_ref(pipeline->generation);
    merge_reset(batch->merge, script_generation_view(batch->generation));
    script_generation_unref(old);
    forget_advances(pipeline, batch);
}

bool batch_full(const struct pipeline *pipeline, const struct batch *batch) {
    return batch->count >= pipeline->batch_limit ||
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

bool batch_is_left(const struct pipeline *pipeline, const struct batch *batch) {
    return batch->generation != pipeline->generation;
}

/* ---- taking messages ----------------------------------------------------------------------- */

static void advance_partition(struct pipeline *pipeline, struct batch *batch,
                              const struct message *message) {
    struct partition *partition = &pipeline->partitions.items[message->partition];
    struct advance *advance = &batch->advances[message->partition];
    if (advance->next < 0) {
        advance->expected = partition->next_offset;
    }
    advance->next = partition->next_offset = message->offset + 1;
    advance->last_time_us = message->broker_time_us;
    partition->broker_time_us = message->broker_time_us;
}

static void batch_add(struct batch *batch, const struct message *message, int handler) {
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 256;
        batch->events = xrealloc(batch->events, batch->capacity * sizeof *batch->events);
    }
    batch->events[batch->count++] = (struct event){.message = *message, .handler = handler};
    batch->bytes += message->payload.len;
    batch->traced = batch->traced || message->traceparent.data;
    encode_forget(batch);
}

void batch_take(struct pipeline *pipeline, struct batch *batch, const struct message *message) {
    batch_add(batch, message, pipeline->partitions.items[message->partition].handler);
    advance_partition(pipeline, batch, message);
}

/* ---- handling ------------------------------------------------------------------------------ */

/* What outlives the values. Of the payload, which stays until the commit, no copy is needed. */
static void keep_ids(struct batch *batch, struct event *event) {
    const struct extract_value *id = &event->values[ENVELOPE_EVENT_ID];
    const struct extract_value *correlation_id = &event->values[ENVELOPE_CORRELATION_ID];
    event->has_id = id->present;
    if (id->present) {
        memcpy(event->id, id->as.uuid, sizeof event->id);
    }
    if (correlation_id->present) {
        struct slice text = correlation_id->as.text, payload = event->message.payload;
        bool stays = text.data >= payload.data && text.data < payload.data + payload.len;
        event->correlation_id = stays ? text : arena_copy(merge_arena(batch->merge), text);
    }
}

static void extract_event(struct pipeline *pipeline, struct batch *batch, struct event *event) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(batch->generation, &count);
    const struct partition *partition = &pipeline->partitions.items[event->message.partition];
    if (event->handler < 0) {
        reject_event(batch, event, "no_handler: no handler is declared for this topic");
        return;
    }
    if (!event->message.payload.data) {
        reject_event(batch, event, "null_value: the record has no value");
        return;
    }
    const struct script_handler *handler = &handlers[event->handler];
    struct arena *arena = batch->extracted;
    struct err err;
    err_clear(&err);
    event->values = arena_alloc(arena, handler->field_count * sizeof *event->values);
    memset(event->values, 0, handler->field_count * sizeof *event->values);
    bool extracted = extract_run(handler->plan, event->message.payload, arena, event->values, &err);
    keep_ids(batch, event);
    if (!extracted) {
        reject_event(batch, event, err.text);
        return;
    }
    uint64_t seed = hash64_seeded(slice_of(partition->topic), pipeline->view_epoch) +
                    (uint64_t)partition->number;
    event->identity = hash64_seeded(event->message.payload, seed);
}

/* A state that hit a limit is not used again. The event need not be at fault: the process may have
 * been stopped meanwhile, or earlier events may have filled the state. So it has a second try, in a
 * fresh one. False: none can be made. */
static bool run_handler(struct pipeline *pipeline, struct batch *batch, const struct event *event,
                        enum script_result *result, struct err *err) {
    size_t handler = (size_t)event->handler;
    for (int tries = 0; tries < 2; tries++) {
        if (!pipeline_renew_scripts(pipeline)) {
            return false;
        }
        FAULT_POINT("before_handling");
        *result = script_handle(pipeline->scripts, handler, event->values, batch->merge, err);
        if (*result == SCRIPT_OK || *result == SCRIPT_IGNORED) {
            return true;
        }
        merge_discard(batch->merge);
        if (*result == SCRIPT_OUTAGE || script_instance_healthy(pipeline->scripts)) {
            return true;
        }
    }
    return true;
}

/* ---- leaving events out --------------------------------------------------------------------- */

static bool is_unapplied(void *context, size_t event) {
    const struct batch *batch = context;
    return batch->events[event].state != EVENT_APPLIED;
}

void batch_forget_unapplied(struct batch *batch) {
    merge_forget(batch->merge, is_unapplied, batch);
}

/* How far the events in [first, last) move one partition, which stood at `expected`. */
static struct advance advance_of(const struct batch *batch, size_t first, size_t last,
                                 size_t partition, int64_t expected) {
    struct advance advance = {expected, -1, 0};
    for (size_t i = first; i < last; i++) {
        const struct message *message = &batch->events[i].message;
        if (message->partition == partition && batch->events[i].state != EVENT_WAITS) {
            advance.next = message->offset + 1;
            advance.last_time_us = message->broker_time_us;
        }
    }
    return advance;
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
    for (size_t p = 0; p < batch->advance_count; p++) {
        struct partition *partition = &pipeline->partitions.items[p];
        int64_t expected = batch->advances[p].expected;
        if (partition->handler != handler || batch->advances[p].next < 0) {
            continue;
        }
        batch->advances[p] = advance_of(batch, 0, batch->count, p, expected);
        partition->next_offset = batch->advances[p].next >= 0 ? batch->advances[p].next : expected;
        partition->end_offset = -1;
    }
    if (has_merged) {
        batch_forget_unapplied(batch);
        merge_select(batch->merge, 0, batch->count);
        encode_forget(batch);
    }
    batch->judged = 0;
}

/* ---- one event --------------------------------------------------------------------------------
 */

/* What the event publishes belongs to its trace. */
static void trace_messages(struct batch *batch, const struct event *event) {
    if (event->message.traceparent.data) {
        char text[TRACEPARENT_LEN + 1];
        traceparent_format(event->message.traceparent, text);
        merge_trace(batch->merge, slice_of(text));
    }
}

static void note_result(struct pipeline *pipeline, struct batch *batch, size_t index,
                        enum script_result result, const struct err *err) {
    struct event *event = &batch->events[index];
    if (result == SCRIPT_OK) {
        trace_messages(batch, event);
        merge_accept(batch->merge, index);
        event->state = EVENT_APPLIED;
    } else if (result == SCRIPT_IGNORED) {
        merge_discard(batch->merge);
        event->state = EVENT_IGNORED;
    } else if (result == SCRIPT_OUTAGE && !pipeline->options.no_breaker) {
        holding_begin(pipeline, (size_t)event->handler, WAIT_OUTAGE, err->text);
        batch_leave_out(pipeline, batch, event->handler, index);
        return;
    } else {
        char text[sizeof err->text + 32];
        snprintf(text, sizeof text, "%s: %s", script_rejection_code(result), err->text);
        reject_event(batch, event, text);
    }
    waits_note_good(&pipeline->waits, (size_t)event->handler);
}

static bool handle_event(struct pipeline *pipeline, struct batch *batch, size_t index) {
    struct event *event = &batch->events[index];
    struct err err;
    err_clear(&err);
    enum script_result result = SCRIPT_ERROR;
    log_set_correlation_id(event->correlation_id);
    log_set_trace_id(traceparent_trace_id(event->message.traceparent));
    bool handled = run_handler(pipeline, batch, event, &result, &err);
    log_set_trace_id((struct slice){0});
    log_set_correlation_id((struct slice){0}); /* other lines about the event name it themselves */
    if (!handled) {
        return false;
    }
    event->rests_on = script_instance_rests_on(pipeline->scripts);
    event->at_us = event->values[ENVELOPE_TIME].as.integer;
    note_result(pipeline, batch, index, result, &err);
    return true;
}

/* False: no script state can be made. */
static bool settle_event(struct pipeline *pipeline, struct batch *batch, size_t index) {
    if (batch->events[index].state == EVENT_PENDING && !handle_event(pipeline, batch, index)) {
        return false;
    }
    batch->handled = index + 1;
    for (int opened = verdicts_judge(pipeline, batch, index + 1); opened >= 0;
         opened = verdicts_judge(pipeline, batch, index + 1)) {
        batch_leave_out(pipeline, batch, opened, 0);
    }
    return true;
}

/* The others' events are not to wait behind those of a handler that takes long for each. */
static void bound_share(struct pipeline *pipeline, struct batch *batch, size_t index,
                        int64_t spent_us) {
    const struct partitions *partitions = &pipeline->partitions;
    const struct event *event = &batch->events[index];
    int handler = event->handler;
    bool others = false;
    if (pipeline->options.no_breaker || handler < 0 || event->state == EVENT_DUPLICATE ||
        waits_holds(&pipeline->waits, (size_t)handler) ||
        !waits_spend(&pipeline->waits, (size_t)handler, spent_us)) {
        return;
    }
    for (size_t i = 0; i < partitions->count && !others; i++) {
        others = partitions->items[i].handler >= 0 && partitions->items[i].handler != handler;
    }
    if (others) {
        waits_hold_turn(&pipeline->waits, (size_t)handler, clock_monotonic_us());
        batch_leave_out(pipeline, batch, handler, index + 1);
    }
}

/* So that the memory of one turn's events serves the next, and stays in the processor's cache. */
static void forget_values(struct batch *batch) {
    for (; batch->forgotten < batch->looked_up; batch->forgotten++) {
        batch->events[batch->forgotten].values = NULL;
    }
    arena_reset(batch->extracted);
}

static void look_up(struct pipeline *pipeline, struct batch *batch) {
    size_t first = batch->looked_up;
    if (batch->handled == first) {
        forget_values(batch);
    }
    for (size_t i = first; i < batch->count; i++) {
        if (batch->events[i].state == EVENT_PENDING) {
            extract_event(pipeline, batch, &batch->events[i]);
        }
    }
    seen_lookup(pipeline, batch->events + first, batch->count - first);
    batch->looked_up = batch->count;
}

bool batch_handle_for(struct pipeline *pipeline, struct batch *batch, int64_t limit_us) {
    int64_t started_us = clock_monotonic_us();
    if (batch->looked_up < batch->count) {
        look_up(pipeline, batch);
    }
    int64_t now_us = clock_monotonic_us();
    batch->judged = 0; /* the batch before it may have been committed meanwhile */
    bool going = true;
    if (batch->handled == 0) {
        waits_begin_batch(&pipeline->waits);
    }
    while (going && batch->handled < batch->count && now_us - started_us < limit_us &&
           !batch_has_merged_enough(pipeline, batch)) {
        int64_t began_us = now_us;
        going = settle_event(pipeline, batch, batch->handled);
        now_us = clock_monotonic_us();
        if (going) {
            bound_share(pipeline, batch, batch->handled - 1, now_us - began_us);
        }
    }
    script_collect_step(pipeline->scripts);
    metric_observe(pipeline->metrics.processing_seconds,
                   (double)(clock_monotonic_us() - started_us) / 1e6);
    return batch->handled == batch->count;
}

void batch_split(struct pipeline *pipeline, struct batch *batch, struct batch *rest) {
    if (batch->handled == batch->count) {
        return;
    }
    batch_clear(pipeline, rest);
    for (size_t p = 0; p < batch->advance_count; p++) {
        int64_t expected = batch->advances[p].expected;
        struct advance handled = advance_of(batch, 0, batch->handled, p, expected);
        rest->advances[p] = advance_of(batch, batch->handled, batch->count, p,
                                       handled.next >= 0 ? handled.next : expected);
        batch->advances[p] = handled;
    }
    for (size_t i = batch->handled; i < batch->count; i++) {
        if (batch->events[i].state == EVENT_WAITS) {
            if (pipeline->options.release) {
                pipeline->options.release(batch->events[i].message.owner);
            }
            batch->waiting--;
            continue;
        }
        batch_add(rest, &batch->events[i].message, batch->events[i].handler);
        batch->bytes -= batch->events[i].message.payload.len;
        batch->rejected -= batch->events[i].state == EVENT_REJECTED;
    }
    batch->count = batch->looked_up = batch->handled;
    batch->forgotten = batch->forgotten < batch->count ? batch->forgotten : batch->count;
    encode_forget(batch);
}

bool batch_say_unhandled(const struct pipeline *pipeline, const struct batch *batch,
                         struct err *err) {
    if (batch_has_merged_enough(pipeline, batch)) {
        return err_set(err, ERR_INPUT,
                       "the first %zu of %zu events merge more than the %d bytes of a batch "
                       "(config.lua, ingest.batch_max_merge_bytes)",
                       batch->handled, batch->count,
                       pipeline->config->ingest.batch_max_merge_bytes);
    }
    return err_set(err, ERR_UNAVAILABLE, "no script state can be made: %s",
                   pipeline->scripts_err.text);
}

void batch_handle(struct pipeline *pipeline, struct batch *batch) {
    batch_handle_for(pipeline, batch, INT64_MAX);
}

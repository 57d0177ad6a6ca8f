/* batch_handle: turns events into merged rows: extracts fields, looks up processed ids, runs
 * handlers. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/traceparent.h"
#include "batch.h"
#include "pipeline.h"
#include "processed_ids.h"
#include "rejection.h"
#include "topic_waits.h"
#include "verdicts.h"

#define NEAR_EVENTS 256 /* their values stay in the processor's cache until they are handled */

/* Keeps the ids longer than the values. The payload lives as long as they: no copy of its text. */
static void batch_handle_keep_ids(struct batch *batch, struct event *event) {
    const struct extract_value *id = &event->values[ENVELOPE_EVENT_ID];
    const struct extract_value *correlation_id = &event->values[ENVELOPE_CORRELATION_ID];
    event->has_id = id->present;
    if (id->present) {
        memcpy(event->id, id->as.uuid, sizeof event->id);
    }
    if (correlation_id->present) {
        struct slice text = correlation_id->as.text, payload = event->record.payload;
        bool stays = text.data >= payload.data && text.data < payload.data + payload.len;
        event->correlation_id = stays ? text : arena_copy(merge_arena(batch->merge), text);
    }
}

static void batch_handle_extract_event(struct pipeline *pipeline, struct batch *batch,
                                       struct event *event) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(batch->generation, &count);
    const struct partition *partition = &pipeline->partitions.items[event->record.partition];
    if (event->handler < 0) {
        rejection_set(batch, event, "no_handler: no handler is declared for this topic");
        return;
    }
    if (!event->record.payload.data) {
        rejection_set(batch, event, "null_value: the record has no value");
        return;
    }
    const struct script_handler *handler = &handlers[event->handler];
    struct arena *arena = pipeline->extracted;
    struct err err;
    err_clear(&err);
    event->values = arena_alloc(arena, handler->field_count * sizeof *event->values);
    memset(event->values, 0, handler->field_count * sizeof *event->values);
    bool extracted = extract_run(handler->plan, event->record.payload, arena, event->values, &err);
    batch_handle_keep_ids(batch, event);
    if (!extracted) {
        rejection_set(batch, event, err.text);
        return;
    }
    uint64_t seed = hash64_seeded(slice_of(partition->topic), pipeline->view_epoch) +
                    (uint64_t)partition->number;
    event->identity = hash64_seeded(event->record.payload, seed);
}

/* Retries once in a new state if the state hit a limit: the cause may be a suspended process, or
 * memory that earlier events took. False: no script state can be created. */
static bool batch_handle_run(struct pipeline *pipeline, struct batch *batch,
                             const struct event *event, enum script_result *result,
                             struct err *err) {
    size_t handler = (size_t)event->handler;
    for (int tries = 0; tries < 2; tries++) {
        if (FAULT_MISSES("script_state") || !pipeline_renew_scripts(pipeline)) {
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

static void batch_handle_note_result(struct pipeline *pipeline, struct batch *batch, size_t index,
                                     enum script_result result, const struct err *err) {
    struct event *event = &batch->events[index];
    if (result == SCRIPT_OK && horizon_expires(pipeline, batch)) {
        merge_discard(batch->merge);
        event->state = EVENT_EXPIRED;
    } else if (result == SCRIPT_OK) {
        if (event->record.traceparent.data) { /* its messages belong to its trace */
            char text[TRACEPARENT_LEN + 1];
            traceparent_format(event->record.traceparent, text);
            merge_trace(batch->merge, slice_of(text));
        }
        merge_accept(batch->merge, index);
        event->state = EVENT_APPLIED;
    } else if (result == SCRIPT_IGNORED) {
        merge_discard(batch->merge);
        event->state = EVENT_IGNORED;
    } else if (result == SCRIPT_OUTAGE && !pipeline->options.no_breaker) {
        topic_waits_begin(pipeline, (size_t)event->handler, WAIT_OUTAGE, err->text);
        batch_leave_out(pipeline, batch, event->handler, index);
        return;
    } else {
        char text[sizeof err->text + 32];
        snprintf(text, sizeof text, "%s: %s", script_rejection_code(result), err->text);
        rejection_set(batch, event, text);
    }
    waits_note_good(&pipeline->waits, (size_t)event->handler);
}

/* False: no script state can be created. */
static bool batch_handle_event(struct pipeline *pipeline, struct batch *batch, size_t index) {
    struct event *event = &batch->events[index];
    struct err err;
    err_clear(&err);
    enum script_result result = SCRIPT_ERROR;
    log_set_correlation_id(event->correlation_id);
    log_set_trace_id(traceparent_trace_id(event->record.traceparent));
    bool handled = batch_handle_run(pipeline, batch, event, &result, &err);
    log_set_trace_id((struct slice){0});
    log_set_correlation_id((struct slice){0});
    if (!handled) {
        return false;
    }
    event->rests_on = script_instance_rests_on(pipeline->scripts);
    event->at_us = event->values[ENVELOPE_TIME].as.integer;
    batch_handle_note_result(pipeline, batch, index, result, &err);
    return true;
}

/* Ends the turn of a slow handler, so that other handlers' events do not wait behind its own. */
static void batch_handle_bound_share(struct pipeline *pipeline, struct batch *batch, size_t index,
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

/* The next events reuse the memory. */
static void batch_handle_forget_values(struct pipeline *pipeline, struct batch *batch) {
    for (; batch->forgotten < batch->looked_up; batch->forgotten++) {
        batch->events[batch->forgotten].values = NULL;
    }
    arena_reset(pipeline->extracted);
}

/* Extracts the next events and looks them up: all those before are handled. With Redis these are
 * all that were taken, in one round trip. */
static void batch_handle_look_up(struct pipeline *pipeline, struct batch *batch) {
    size_t first = batch->looked_up, left = batch->count - first;
    size_t count = pipeline->redis || left < NEAR_EVENTS ? left : NEAR_EVENTS;
    batch_handle_forget_values(pipeline, batch);
    for (size_t i = first; i < first + count; i++) {
        if (batch->events[i].state == EVENT_PENDING) {
            batch_handle_extract_event(pipeline, batch, &batch->events[i]);
        }
    }
    processed_ids_look_up(pipeline, batch->events + first, count);
    batch->looked_up = first + count;
}

/* False: no script state can be created. */
static bool batch_handle_next(struct pipeline *pipeline, struct batch *batch, int64_t *now_us) {
    size_t at = batch->handled;
    if (at == batch->looked_up) {
        batch_handle_look_up(pipeline, batch);
        *now_us = clock_monotonic_us();
    }
    int64_t began_us = *now_us;
    if (batch->events[at].state == EVENT_PENDING && !batch_handle_event(pipeline, batch, at)) {
        return false;
    }
    batch->handled = at + 1;
    verdicts_leave_out(pipeline, batch, at + 1);
    *now_us = clock_monotonic_us();
    batch_handle_bound_share(pipeline, batch, at, *now_us - began_us);
    return true;
}

bool batch_handle(struct pipeline *pipeline, struct batch *batch, int64_t limit_us) {
    int64_t started_us = clock_monotonic_us(), now_us = started_us;
    batch->judged = 0; /* the previous batch may have been committed since */
    horizon_begin_turn(&pipeline->horizon);
    if (batch->handled == 0) {
        waits_begin_batch(&pipeline->waits);
    }
    while (batch->handled < batch->count && now_us - started_us < limit_us &&
           !batch_has_merged_enough(pipeline, batch) &&
           batch_handle_next(pipeline, batch, &now_us)) {
    }
    batch_release_handled(pipeline, batch);
    script_collect_step(pipeline->scripts);
    metric_observe(pipeline->metrics.processing_seconds,
                   (double)(clock_monotonic_us() - started_us) / 1e6);
    return batch->handled == batch->count;
}

bool batch_describe_unhandled(const struct pipeline *pipeline, const struct batch *batch,
                              struct err *err) {
    if (batch_has_merged_enough(pipeline, batch)) {
        return err_set(err, ERR_INPUT,
                       "the first %zu of %zu events merge more than the %d bytes of a batch "
                       "(config.lua, ingest.batch_max_merge_bytes)",
                       batch->handled, batch->count,
                       pipeline->config->ingest.batch_max_merge_bytes);
    }
    return err_set(err, ERR_UNAVAILABLE, "cannot create a script state: %s",
                   pipeline->scripts_err.text);
}

/* batch: messages become events, events become merged rows. */
#include <stdlib.h>

#include "../clock.h"
#include "../hash.h"
#include "../log.h"
#include "../uuid.h"
#include "../xalloc.h"
#include "worker.h"

void batch_init(struct batch *batch, const struct view *view) {
    *batch = (struct batch){.merge = merge_create(view)};
}

static void release_messages(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        rd_kafka_message_destroy(batch->events[i].message);
    }
    batch->count = batch->bytes = batch->rejected = 0;
}

void batch_free(struct batch *batch) {
    release_messages(batch);
    free(batch->events);
    free(batch->advances);
    merge_destroy(batch->merge);
}

void batch_clear(struct worker *worker, struct batch *batch) {
    release_messages(batch);
    merge_reset(batch->merge, script_generation_view(worker->generation));
    batch->advances =
        xrealloc(batch->advances, (worker->partition_count + 1) * sizeof *batch->advances);
    for (size_t i = 0; i < worker->partition_count; i++) {
        batch->advances[i] = (struct advance){0, -1};
    }
}

bool batch_full(const struct worker *worker, const struct batch *batch) {
    return batch->count >= (size_t)worker->config->ingest.batch_max_events ||
           batch->bytes >= (size_t)worker->config->ingest.batch_max_bytes;
}

/* ---- rejection ---------------------------------------------------------------------------- */

static void log_rejection(const struct event *event) {
    char event_id[UUID_TEXT_LEN + 1] = "";
    struct slice correlation_id = {0};
    if (event->values) {
        if (event->values[ENVELOPE_EVENT_ID].present) {
            uuid_format(event->values[ENVELOPE_EVENT_ID].as.uuid, event_id);
        }
        if (event->values[ENVELOPE_CORRELATION_ID].present) {
            correlation_id = event->values[ENVELOPE_CORRELATION_ID].as.text;
        }
    }
    log_warning(
        "event rejected", LOG_SLICE("reason", event->reason), LOG_SLICE("detail", event->detail),
        LOG_TEXT("topic", rd_kafka_topic_name(event->message->rkt)),
        LOG_INT("partition", event->message->partition), LOG_INT("offset", event->message->offset),
        LOG_TEXT("event_id", event_id[0] ? event_id : NULL),
        LOG_SLICE("correlation_id", correlation_id));
}

/* The text is "code: detail"; anything else counts under the code given by its first word. */
void batch_reject(struct batch *batch, struct event *event, const char *code_and_detail) {
    struct arena *arena = merge_arena(batch->merge);
    size_t code_len = strspn(code_and_detail, "abcdefghijklmnopqrstuvwxyz_0123456789");
    bool has_code = code_len > 0 && code_and_detail[code_len] == ':';
    event->state = EVENT_REJECTED;
    event->reason = has_code ? arena_copy(arena, (struct slice){code_and_detail, code_len})
                             : slice_of("handler_error");
    const char *detail = has_code ? code_and_detail + code_len + 1 : code_and_detail;
    event->detail = arena_copy(arena, slice_of(detail + (*detail == ' ')));
    batch->rejected++;
    struct metric *invalid =
        metric_family(METRIC_COUNTER, "ras_invalid_messages_total",
                      "Events that were rejected, by topic and reason.", "topic,error_type");
    char reason[64];
    snprintf(reason, sizeof reason, "%.*s", (int)event->reason.len, event->reason.data);
    metric_add(metric_cell(invalid, rd_kafka_topic_name(event->message->rkt), reason), 1);
    log_rejection(event);
}

/* ---- taking messages ---------------------------------------------------------------------- */

static int find_handler(const struct worker *worker, const char *topic) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(worker->generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (strcmp(handlers[i].topics[t], topic) == 0) {
                return (int)i;
            }
        }
    }
    return -1;
}

static void advance_partition(struct worker *worker, struct batch *batch,
                              const rd_kafka_message_t *message) {
    int at = consumer_find_partition(worker, message);
    struct partition *partition = &worker->partitions[at];
    if (batch->advances[at].next < 0) {
        batch->advances[at].expected = partition->next_offset;
    }
    batch->advances[at].next = partition->next_offset = message->offset + 1;
    partition->event_time_us = rd_kafka_message_timestamp(message, NULL) * 1000;
}

static struct event *take_message(struct worker *worker, struct batch *batch,
                                  rd_kafka_message_t *message) {
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 256;
        batch->events = xrealloc(batch->events, batch->capacity * sizeof *batch->events);
    }
    struct event *event = &batch->events[batch->count++];
    *event = (struct event){.message = message, .handler = -1};
    batch->bytes += message->len;
    advance_partition(worker, batch, message);
    return event;
}

static void extract_event(struct worker *worker, struct batch *batch, struct event *event) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(worker->generation, &count);
    const char *topic = rd_kafka_topic_name(event->message->rkt);
    event->handler = find_handler(worker, topic);
    if (event->handler < 0) {
        batch_reject(batch, event, "no_handler: no handler is declared for this topic");
        return;
    }
    if (!event->message->payload) {
        batch_reject(batch, event, "null_value: the record has no value");
        return;
    }
    const struct script_handler *handler = &handlers[event->handler];
    struct arena *arena = merge_arena(batch->merge);
    struct slice payload = {event->message->payload, event->message->len};
    struct err err = {0};
    event->values = arena_alloc(arena, handler->field_count * sizeof *event->values);
    memset(event->values, 0, handler->field_count * sizeof *event->values);
    if (!extract_run(handler->plan, payload, arena, event->values, &err)) {
        batch_reject(batch, event, err.text);
        return;
    }
    uint64_t seed =
        hash64_seeded(slice_of(topic), worker->view_epoch) + (uint64_t)event->message->partition;
    event->identity = hash64_seeded(payload, seed);
}

/* A state that hit a limit is full or armed to raise: the next event gets a fresh one. */
static bool renew_scripts(struct worker *worker) {
    if (worker->scripts && script_instance_healthy(worker->scripts)) {
        return true;
    }
    struct err err = {0};
    script_instance_destroy(worker->scripts);
    worker->scripts = script_instance_create(worker->generation, worker->config, &err);
    if (!worker->scripts) {
        log_error("scripts could not be loaded", LOG_TEXT("error", err.text));
    }
    return worker->scripts != NULL;
}

static void handle_event(struct worker *worker, struct batch *batch, size_t index) {
    struct event *event = &batch->events[index];
    struct err err = {0};
    if (!renew_scripts(worker)) {
        batch_reject(batch, event, "script_unavailable: the scripts could not be loaded");
        return;
    }
    enum script_result result =
        script_handle(worker->scripts, (size_t)event->handler, event->values, batch->merge, &err);
    if (result == SCRIPT_OK) {
        merge_accept(batch->merge, index);
        event->state = EVENT_APPLIED;
        return;
    }
    merge_discard(batch->merge);
    if (result == SCRIPT_IGNORED) {
        event->state = EVENT_IGNORED;
        return;
    }
    char reason[sizeof err.text + 32];
    snprintf(reason, sizeof reason, "%s: %s",
             result == SCRIPT_TIMEOUT ? "handler_timeout" : "handler_error", err.text);
    batch_reject(batch, event, reason);
}

static void handle_events(struct worker *worker, struct batch *batch, size_t first) {
    for (size_t i = first; i < batch->count; i++) {
        extract_event(worker, batch, &batch->events[i]);
    }
    seen_lookup(worker, batch->events + first, batch->count - first);
    for (size_t i = first; i < batch->count; i++) {
        if (batch->events[i].state == EVENT_PENDING) {
            handle_event(worker, batch, i);
        }
    }
    script_collect_step(worker->scripts);
}

bool batch_fill(struct worker *worker) {
    size_t first = worker->filling->count;
    bool dry = false;
    while (!batch_full(worker, worker->filling)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(worker->kafka, 0);
        if (!message) {
            dry = true;
            break;
        }
        if (worker->filling->count < first) {
            first = worker->filling->count; /* a rebalance inside poll emptied the batch */
        }
        if (message->err) {
            if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                log_warning("consumer error", LOG_TEXT("error", rd_kafka_message_errstr(message)));
                metric_add(worker->metrics.errors, 1);
            }
            rd_kafka_message_destroy(message);
        } else if (worker->must_load_offsets || consumer_find_partition(worker, message) < 0) {
            rd_kafka_message_destroy(message); /* of an assignment that is no more */
        } else {
            take_message(worker, worker->filling, message);
        }
    }
    if (worker->filling->count < first) {
        first = worker->filling->count;
    }
    if (worker->filling->count > first) {
        int64_t started_us = clock_monotonic_us();
        handle_events(worker, worker->filling, first);
        metric_observe(worker->metrics.processing_seconds,
                       (double)(clock_monotonic_us() - started_us) / 1e6);
    }
    return dry;
}

/* waiting_topics: publishes a worker's waiting topics and updates the fetched partitions. */
#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "worker.h"

#define WAITING_SHOWN 20 /* of a worker: probes and the console read them all the time */

static void waiting_topics_append(struct buffer *json, const char *topic, const char *handler,
                                  const struct wait *wait) {
    buffer_append_text(json, json->len > 0 ? ",{" : "{");
    json_put_text(json, "topic", slice_of(topic));
    json_put_text(json, "handler", slice_of(handler));
    json_put_text(json, "cause", slice_of(wait->cause == WAIT_BREAKER ? "rejections" : "outage"));
    json_put_int(json, "tries", wait->tries);
    json_put_time(json, "since", wait->since_wall_us);
    if (wait->held) {
        json_put_time(json, "next_try", clock_wall_us() + wait->retry_at_us - clock_monotonic_us());
    }
    json_put_text(json, "reason", slice_of(wait->reason));
    buffer_append_text(json, "}");
}

static void waiting_topics_set_metric(const struct worker *worker, const char *topic, bool waits) {
    char number[16];
    snprintf(number, sizeof number, "%d", worker->number);
    metric_set(
        metric_cell(metric_family(METRIC_GAUGE, "ras_ingest_waiting_topics",
                                  "1: the topic waits; see aggregator status.", "worker,topic"),
                    number, topic),
        waits);
}

static void waiting_topics_publish(struct worker *worker) {
    const struct waits *waits = &worker->pipeline.waits;
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(worker->pipeline.generation, &count);
    struct buffer json = {0};
    size_t total = 0;
    int waiting = 0, opened = 0;
    for (size_t i = 0; i < count && i < waits->count; i++) {
        const struct wait *wait = &waits->items[i];
        waiting += wait->cause != WAIT_NONE;
        opened += wait->cause == WAIT_BREAKER;
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            waiting_topics_set_metric(worker, handlers[i].topics[t],
                                      wait->cause != WAIT_NONE ||
                                          trouble_has_topic(worker, handlers[i].topics[t]));
            if (wait->cause != WAIT_NONE && total++ < WAITING_SHOWN) {
                waiting_topics_append(&json, handlers[i].topics[t], handlers[i].name, wait);
            }
        }
    }
    int unreadable =
        trouble_append(worker, total < WAITING_SHOWN ? WAITING_SHOWN - total : 0, &json);
    pthread_mutex_lock(&worker->status.lock);
    struct buffer before = worker->status.waiting;
    worker->status.waiting = json;
    worker->status.waiting_total = total + (size_t)unreadable;
    pthread_mutex_unlock(&worker->status.lock);
    buffer_free(&before);
    atomic_store(&worker->waiting_handlers, waiting);
    atomic_store(&worker->opened_handlers, opened);
    atomic_store(&worker->unreadable, unreadable);
    metric_set(worker->breaker_open, opened > 0);
}

void waiting_turn(struct worker *worker) {
    struct waits *waits = &worker->pipeline.waits;
    struct err err = {0};
    trouble_retry(worker, clock_monotonic_us());
    if (waits_next_us(waits) != INT64_MAX) {
        waits_progress(waits, clock_monotonic_us());
    }
    if (waits->changed) {
        waits->changed = false;
        waiting_topics_publish(worker);
    }
    bool refetch = waits->refetch;
    waits->refetch = false;
    if (refetch && consumer_is_fetching(worker) && !fetch_assign(worker, &err)) {
        log_warning("cannot change the fetched partitions: fetching restarts",
                    LOG_INT("worker", worker->number), LOG_TEXT("error", err.text));
        consumer_restart(worker);
    }
}

void waiting_resume(struct worker *worker) {
    struct pipeline *pipeline = &worker->pipeline;
    for (size_t i = 0; i < pipeline->waits.count; i++) {
        if (pipeline->waits.items[i].cause == WAIT_BREAKER) {
            breaker_resume(&pipeline->breaker, i);
        }
    }
    waits_try_all(&pipeline->waits);
    trouble_retry(worker, INT64_MAX);
    log_info("worker retries all waiting topics", LOG_INT("worker", worker->number));
}

void waiting_forget(struct worker *worker) {
    waits_forget(&worker->pipeline.waits);
    waiting_topics_publish(worker);
}

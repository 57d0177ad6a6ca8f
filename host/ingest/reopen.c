/* reopen: replaces a Kafka client that failed, with or without an error. The delay doubles up to
 * five minutes, until a client has worked for ten: each replacement costs the group a rebalance. */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker.h"

#define FIRST_WAIT_US 1000000
#define LAST_WAIT_US 300000000
#define WORKED_US 600000000 /* resets the delay */
#define LOOK_INTERVAL_US 2000000

static const struct {
    const char *name; /* label of the metric */
    const char *what; /* for the log and for readiness */
} reopen_reasons[] = {
    [REOPEN_NONE] = {"none", ""},
    [REOPEN_FATAL] = {"fatal", "the Kafka client reported a fatal error"},
    [REOPEN_FENCED] = {"fenced",
                       "another process joined the group with this group.instance.id: give "
                       "each process its own"},
    [REOPEN_MOVED] =
        {"moved", "the group coordinator has a new address, which the Kafka client does not use"},
    [REOPEN_STALLED] = {"stalled", "the Kafka client does not fetch waiting records"},
    [REOPEN_UNASSIGNED] = {"unassigned",
                           "the group assigned no partitions to this worker for longer "
                           "than a rebalance may take"},
    [REOPEN_TOPICS] = {"topics", "the Kafka client cannot subscribe to the scripts' topics"},
    [REOPEN_FILES] = {"files", "the files for TLS to Kafka changed after it had failed"},
};

static int64_t reopen_wait_us(const struct reopen *reopen) {
    int64_t us = backoff_us(reopen->tries - 1, FIRST_WAIT_US, LAST_WAIT_US);
    return backoff_jitter_us(us, (uint64_t)clock_monotonic_us());
}

void reopen_ask(struct worker *worker, enum reopen_reason reason) {
    struct reopen *reopen = &worker->reopen;
    int64_t now_us = clock_monotonic_us();
    if (reopen->reason != REOPEN_NONE) {
        return;
    }
    if (now_us - reopen->opened_us > WORKED_US) {
        reopen->tries = 0;
    }
    reopen->reason = reason;
    reopen->at_us = reopen->tries > 0 ? reopen->opened_us + reopen_wait_us(reopen) : now_us;
    log_error("the kafka client is replaced", LOG_INT("worker", worker->number),
              LOG_TEXT("reason", reopen_reasons[reason].what),
              LOG_INT("in_ms", reopen->at_us > now_us ? (reopen->at_us - now_us) / 1000 : 0));
    if (!worker->has_assignment) {
        worker_set_status(worker, reopen_reasons[reason].what);
    }
}

void reopen_ask_failed(struct worker *worker) {
    struct kafka_error error = {0};
    if (worker->kafka) {
        error = kafka_consumer_fatal(worker->kafka);
    }
    if (error.kind != KAFKA_ERROR_NONE) {
        rebalance_forget(worker);
        reopen_ask(worker, error.kind == KAFKA_ERROR_FENCED ? REOPEN_FENCED : REOPEN_FATAL);
        worker_set_status(worker, reopen_reasons[worker->reopen.reason].what);
    }
}

void reopen_note_opened(struct worker *worker) {
    worker->reopen.opened_us = clock_monotonic_us();
    worker->reopen.unassigned_since_us = worker->reopen.opened_us;
}

void reopen_note_assignment(struct worker *worker, bool come) {
    bool has_none = worker->pipeline.partitions.count == 0;
    worker->reopen.unassigned_since_us = !come && has_none ? clock_monotonic_us() : 0;
}

/* Finds failures that the client does not report. */
static void reopen_look(struct worker *worker) {
    struct reopen *reopen = &worker->reopen;
    int64_t now_us = clock_monotonic_us();
    if (now_us < reopen->look_at_us) {
        return;
    }
    reopen->look_at_us = now_us + LOOK_INTERVAL_US;
    reopen_ask_failed(worker);
    if (reopen->unassigned_since_us > 0 && (now_us - reopen->unassigned_since_us) / 2 >
                                               kafka_consumer_rebalance_limit_us(worker->kafka)) {
        reopen_ask(worker, REOPEN_UNASSIGNED);
    }
    if (coordinator_has_moved(worker)) {
        reopen_ask(worker, REOPEN_MOVED);
    }
    if (worker->trouble.error.kind == KAFKA_ERROR_TLS &&
        kafka_consumer_files_changed(worker->kafka)) {
        reopen_ask(worker, REOPEN_FILES);
    }
}

static void reopen_count(enum reopen_reason reason) {
    metric_add(metric_cell(metric_family(METRIC_COUNTER, "ras_kafka_client_restarts_total",
                                         "Kafka clients that were replaced.", "reason"),
                           reopen_reasons[reason].name),
               1);
}

static void reopen_client(struct worker *worker) {
    struct reopen *reopen = &worker->reopen;
    struct err err = {0};
    enum reopen_reason reason = reopen->reason;
    consumer_close(worker);
    reopen->tries++;
    reopen_count(reason);
    if (consumer_open(worker, &err)) {
        reopen->reason = REOPEN_NONE;
        return;
    }
    log_error("cannot open a kafka client", LOG_INT("worker", worker->number),
              LOG_TEXT("error", err.text));
    consumer_close(worker);
    reopen->at_us = clock_monotonic_us() + reopen_wait_us(reopen);
}

void reopen_turn(struct worker *worker) {
    if (worker->kafka && worker->reopen.reason == REOPEN_NONE) {
        reopen_look(worker);
    }
    if (worker->reopen.reason != REOPEN_NONE && clock_monotonic_us() >= worker->reopen.at_us) {
        reopen_client(worker);
    }
}

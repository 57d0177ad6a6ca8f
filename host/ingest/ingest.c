#include "ingest.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "worker.h"

#define AWAIT_INTERVAL_MS 5

struct ingest {
    struct worker *workers;
    pthread_t *threads;
    size_t count;
    bool ended;
    struct metric_cell *kafka_up; /* NULL without workers */
};

static void ingest_make_metrics(struct worker *worker) {
    worker->errors = metric_single(METRIC_COUNTER, "ras_consumer_errors_total",
                                   "Failures of consuming or committing.");
    worker->deleted = metric_single(METRIC_COUNTER, "ras_deleted_messages_total",
                                    "Records that Kafka deleted before they were read.");
    worker->stalls =
        metric_single(METRIC_COUNTER, "ras_consumer_stalls_total",
                      "Restarts of fetching because waiting records were not fetched.");
    worker->database_up = pipeline_dependency_metric("postgres");
    char number[16];
    snprintf(number, sizeof number, "%d", worker->number);
    worker->breaker_open = metric_cell(
        metric_family(METRIC_GAUGE, "ras_breaker_open",
                      "1: topics of the worker wait, too many of their events were rejected.",
                      "worker"),
        number);
}

static bool ingest_init_worker(struct worker *worker, const struct ingest_options *ingest,
                               struct err *err) {
    struct pipeline_options options = {
        .generation = ingest->generation,
        .cache = ingest->cache,
        .group = worker->config->kafka.group,
        .application_name = "aggregator ingest",
        .with_redis = true,
        .marks = true,
        .relay = ingest->relay,
        .marked = ingest->marked,
        .marked_context = ingest->context,
        .mode = PIPELINE_FOLLOW,
        .release = kafka_message_release,
        .releases_early = true,
    };
    ingest_make_metrics(worker);
    pthread_mutex_init(&worker->status.lock, NULL);
    pthread_mutex_init(&worker->script_switch.lock, NULL);
    clock_condition_init(&worker->script_switch.done);
    bool ok = pipeline_open(&worker->pipeline, &options, err);
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_init(&worker->batches[i], ingest->generation);
        batch_clear(&worker->pipeline, &worker->batches[i]);
    }
    worker->filling = &worker->batches[0];
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ok && worker->wake_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot create an eventfd");
    }
    return ok && consumer_open(worker, err);
}

static void ingest_free_worker(struct worker *worker) {
    consumer_close(worker);
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_free(&worker->pipeline, &worker->batches[i]);
    }
    pipeline_close(&worker->pipeline);
    if (worker->wake_fd >= 0) {
        close(worker->wake_fd);
    }
    pthread_mutex_destroy(&worker->status.lock);
    buffer_free(&worker->status.waiting);
    worker_scripts_free(&worker->script_switch.next);
    worker_scripts_free(&worker->script_switch.old);
    pthread_cond_destroy(&worker->script_switch.done);
    pthread_mutex_destroy(&worker->script_switch.lock);
}

struct ingest *ingest_start(const struct ingest_options *options, struct err *err) {
    struct ingest *ingest = xcalloc(1, sizeof *ingest);
    size_t wanted = (size_t)options->config->ingest.workers;
    ingest->workers = xcalloc(wanted, sizeof *ingest->workers);
    ingest->threads = xcalloc(wanted, sizeof *ingest->threads);
    ingest->kafka_up = wanted > 0 ? pipeline_dependency_metric("kafka") : NULL;
    for (; ingest->count < wanted; ingest->count++) {
        struct worker *worker = &ingest->workers[ingest->count];
        worker->number = (int)ingest->count;
        worker->config = options->config;
        atomic_init(&worker->held, true);
        if (!ingest_init_worker(worker, options, err) ||
            (pthread_create(&ingest->threads[ingest->count], NULL, worker_main, worker) != 0 &&
             !err_set(err, ERR_INTERNAL, "cannot start an ingest thread"))) {
            ingest_free_worker(worker);
            ingest_stop(ingest);
            return NULL;
        }
    }
    return ingest;
}

static void ingest_wake(struct worker *worker) {
    uint64_t one = 1;
    if (write(worker->wake_fd, &one, sizeof one) < 0) {
        log_warning("cannot wake an ingest worker", LOG_INT("worker", worker->number));
    }
}

void ingest_end(struct ingest *ingest) {
    for (size_t i = 0; i < ingest->count; i++) {
        atomic_store(&ingest->workers[i].stopping, true);
        ingest_wake(&ingest->workers[i]);
    }
    for (size_t i = 0; i < ingest->count; i++) {
        pthread_join(ingest->threads[i], NULL);
    }
    ingest->ended = true;
}

void ingest_stop(struct ingest *ingest) {
    if (!ingest) {
        return;
    }
    if (!ingest->ended) {
        ingest_end(ingest);
    }
    for (size_t i = 0; i < ingest->count; i++) {
        ingest_free_worker(&ingest->workers[i]);
    }
    free(ingest->workers);
    free(ingest->threads);
    free(ingest);
}

/* ---- membership ---------------------------------------------------------------------------- */

static bool ingest_has_left(struct worker *worker) {
    return !atomic_load(&worker->subscribed);
}

static bool ingest_has_joined(struct worker *worker) {
    pthread_mutex_lock(&worker->status.lock);
    bool unreadable = worker->status.kafka != NULL;
    pthread_mutex_unlock(&worker->status.lock);
    return unreadable || atomic_load(&worker->joined);
}

static bool ingest_await(struct ingest *ingest, bool (*is_so)(struct worker *worker),
                         int timeout_ms) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    size_t at = 0;
    while (at < ingest->count && clock_monotonic_us() < deadline_us) {
        if (is_so(&ingest->workers[at])) {
            at++;
        } else {
            poll(NULL, 0, AWAIT_INTERVAL_MS);
        }
    }
    return at == ingest->count;
}

static void ingest_set_held(struct ingest *ingest, bool held) {
    for (size_t i = 0; i < ingest->count; i++) {
        atomic_store(&ingest->workers[i].held, held);
        ingest_wake(&ingest->workers[i]);
    }
}

bool ingest_leave(struct ingest *ingest, int timeout_ms) {
    ingest_set_held(ingest, true);
    return ingest_await(ingest, ingest_has_left, timeout_ms);
}

void ingest_join(struct ingest *ingest) {
    ingest_set_held(ingest, false);
}

bool ingest_await_joined(struct ingest *ingest, int timeout_ms) {
    return ingest_await(ingest, ingest_has_joined, timeout_ms);
}

size_t ingest_stopped(const struct ingest *ingest) {
    size_t stopped = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        const struct worker *worker = &ingest->workers[i];
        stopped += !atomic_load(&worker->script_switch.is_offered) &&
                   atomic_load(&worker->opened_handlers) > 0;
    }
    return stopped;
}

size_t ingest_resume(struct ingest *ingest) {
    size_t resumed = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        struct worker *worker = &ingest->workers[i];
        if (atomic_load(&worker->waiting_handlers) + atomic_load(&worker->unreadable) > 0) {
            atomic_store(&worker->resume, true);
            ingest_wake(worker);
            resumed++;
        }
    }
    return resumed;
}

/* ---- switch of scripts --------------------------------------------------------------------- */

struct ingest_scripts {
    size_t count;
    struct worker_scripts workers[];
};

size_t ingest_worker_count(const struct ingest *ingest) {
    return ingest->count;
}

struct ingest_scripts *ingest_scripts_create(const struct ingest *ingest,
                                             struct script_generation *generation,
                                             struct err *err) {
    struct ingest_scripts *scripts =
        xcalloc(1, sizeof *scripts + ingest->count * sizeof *scripts->workers);
    for (; scripts->count < ingest->count; scripts->count++) {
        struct worker_scripts *worker = &scripts->workers[scripts->count];
        worker->instance = script_instance_create(generation, err);
        if (!worker->instance) {
            ingest_scripts_destroy(scripts);
            return NULL;
        }
        worker->generation = script_generation_ref(generation);
    }
    return scripts;
}

void ingest_scripts_destroy(struct ingest_scripts *scripts) {
    for (size_t i = 0; scripts && i < scripts->count; i++) {
        worker_scripts_free(&scripts->workers[i]);
    }
    free(scripts);
}

void ingest_switch(struct ingest *ingest, struct ingest_scripts *scripts) {
    for (size_t i = 0; i < ingest->count; i++) {
        scripts->workers[i] = script_switch_offer(&ingest->workers[i], scripts->workers[i]);
        ingest_wake(&ingest->workers[i]);
    }
}

size_t ingest_await_switch(struct ingest *ingest, int timeout_ms) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    size_t waiting = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        struct worker_scripts old;
        waiting += !script_switch_wait(&ingest->workers[i], deadline_us, &old);
        worker_scripts_free(&old);
    }
    return waiting;
}

/* ---- readiness ----------------------------------------------------------------------------- */

/* Errors of scripts have several lines. */
static void ingest_join_lines(char *text) {
    for (char *end = strchr(text, '\n'); end; end = strchr(end, '\n')) {
        *end = end[1] ? ';' : '\0';
    }
}

/* What the worker waits for, as text; "": nothing. True: the Kafka client cannot read. */
static bool ingest_reason_of(struct worker *worker, bool none_assigned, char *text, size_t cap) {
    struct worker_status *status = &worker->status;
    pthread_mutex_lock(&status->lock);
    const char *kafka = status->kafka;
    snprintf(text, cap, "%s", status->text);
    pthread_mutex_unlock(&status->lock);
    ingest_join_lines(text);
    bool is_without = !atomic_load(&worker->assigned) && (kafka || none_assigned);
    if (!text[0] && is_without) {
        snprintf(text, cap, "waits for its partitions%s%s", kafka ? ": " : "", kafka ? kafka : "");
    } else if (!text[0] && kafka) {
        snprintf(text, cap, "%s", kafka);
    }
    return kafka != NULL;
}

/* The first worker's reason, if any. True: some Kafka client cannot read. */
static bool ingest_append_reason(struct ingest *ingest, bool none_assigned, struct buffer *json) {
    bool is_kept = false;
    for (size_t i = 0; i < ingest->count; i++) {
        char text[sizeof ingest->workers[i].status.text];
        is_kept |= ingest_reason_of(&ingest->workers[i], none_assigned, text, sizeof text);
        if (text[0] && json->len == 0) {
            buffer_append_text(json, ",\"reason\":");
            buffer_append_json_string(json, slice_of(text));
        }
    }
    return is_kept;
}

/* The waiting topics and partitions of all workers; returns their number. */
static int ingest_append_waiting(struct ingest *ingest, struct buffer *json) {
    int waits = 0;
    size_t total = 0;
    bool any = false;
    buffer_append_text(json, ",\"waiting\":[");
    for (size_t i = 0; i < ingest->count; i++) {
        struct worker_status *status = &ingest->workers[i].status;
        waits += atomic_load(&ingest->workers[i].waiting_handlers) +
                 atomic_load(&ingest->workers[i].unreadable);
        pthread_mutex_lock(&status->lock);
        struct slice waiting = buffer_slice(&status->waiting);
        total += status->waiting_total;
        if (waiting.len > 0) {
            buffer_append_text(json, any ? "," : "");
            buffer_append(json, waiting.data, waiting.len);
            any = true;
        }
        pthread_mutex_unlock(&status->lock);
    }
    buffer_append_format(json, "],\"waiting_total\":%zu", total);
    return waits;
}

enum ingest_state ingest_report(struct ingest *ingest, struct buffer *json) {
    size_t assigned = 0, database = 0;
    struct buffer waiting = {0}, reason = {0};
    if (ingest->count == 0) {
        buffer_append_text(json, "\"kafka\":{\"status\":\"disabled\",\"workers\":0,"
                                 "\"reason\":\"ingest.workers is 0: this process only answers "
                                 "requests\"}");
        return INGEST_OFF;
    }
    for (size_t i = 0; i < ingest->count; i++) {
        assigned += atomic_load(&ingest->workers[i].assigned);
        database += atomic_load(&ingest->workers[i].database_ready);
    }
    bool consuming = assigned > 0 && database == ingest->count;
    bool waits = ingest_append_waiting(ingest, &waiting) > 0;
    bool is_kept = ingest_append_reason(ingest, assigned == 0, &reason);
    metric_set(ingest->kafka_up, is_kept ? 0 : 1);
    waits = is_kept || waits;
    enum ingest_state state = !consuming ? INGEST_STOPPED : waits ? INGEST_WAITS : INGEST_MOVES;
    static const char *const names[] = {
        [INGEST_STOPPED] = "unhealthy", [INGEST_WAITS] = "degraded", [INGEST_MOVES] = "healthy"};
    buffer_append_format(
        json, "\"kafka\":{\"status\":\"%s\",\"workers\":%zu,\"assigned\":%zu,\"committing\":%zu",
        names[state], ingest->count, assigned, database);
    buffer_append(json, reason.data, reason.len);
    buffer_append(json, waiting.data, waiting.len);
    buffer_append_text(json, "}");
    buffer_free(&reason);
    buffer_free(&waiting);
    return state;
}

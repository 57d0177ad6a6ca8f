#include "ingest.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../log.h"
#include "../xalloc.h"
#include "kafka_client.h"
#include "worker.h"

struct ingest {
    struct worker *workers;
    pthread_t *threads;
    size_t count;
};

static void make_metrics(struct worker *worker) {
    worker->errors = metric_single(METRIC_COUNTER, "ras_consumer_errors_total",
                                   "Failures of consuming or committing.");
    worker->deleted = metric_single(METRIC_COUNTER, "ras_deleted_messages_total",
                                    "Messages that Kafka had deleted before they were read.");
    worker->database_up = pipeline_dependency_metric("postgres");
    char number[16];
    snprintf(number, sizeof number, "%d", worker->number);
    worker->breaker_open = metric_cell(
        metric_family(METRIC_GAUGE, "ras_breaker_open",
                      "1 where consumption stopped: too many events were rejected.", "worker"),
        number);
}

static bool init_worker(struct worker *worker, struct script_generation *generation,
                        struct cache *cache, struct err *err) {
    const struct config *config = worker->config;
    struct pipeline_options options = {
        .config = config,
        .generation = generation,
        .cache = cache,
        .group = config->kafka.group,
        .application_name = "aggregator ingest",
        .with_redis = true,
        .mode = PIPELINE_FOLLOW,
        .release = kafka_client_release,
    };
    make_metrics(worker);
    pthread_mutex_init(&worker->status.lock, NULL);
    worker_say(worker, "waits for its partitions");
    bool ok = pipeline_open(&worker->pipeline, &options, err);
    for (int i = 0; i < 2; i++) {
        batch_init(&worker->batches[i], script_generation_view(generation));
        batch_clear(&worker->pipeline, &worker->batches[i]);
    }
    worker->filling = &worker->batches[0];
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ok && worker->wake_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot make an eventfd");
    }
    return ok && consumer_open(worker, err);
}

static void free_worker(struct worker *worker) {
    consumer_close(worker);
    for (int i = 0; i < 2; i++) {
        batch_free(&worker->pipeline, &worker->batches[i]);
    }
    pipeline_close(&worker->pipeline);
    if (worker->wake_fd >= 0) {
        close(worker->wake_fd);
    }
    pthread_mutex_destroy(&worker->status.lock);
}

struct ingest *ingest_start(const struct config *config, struct script_generation *generation,
                            struct cache *cache, struct err *err) {
    struct ingest *ingest = xcalloc(1, sizeof *ingest);
    size_t wanted = (size_t)config->ingest.workers;
    ingest->workers = xcalloc(wanted, sizeof *ingest->workers);
    ingest->threads = xcalloc(wanted, sizeof *ingest->threads);
    for (; ingest->count < wanted; ingest->count++) {
        struct worker *worker = &ingest->workers[ingest->count];
        worker->number = (int)ingest->count;
        worker->config = config;
        if (!init_worker(worker, generation, cache, err)) {
            free_worker(worker);
            ingest_stop(ingest);
            return NULL;
        }
        if (pthread_create(&ingest->threads[ingest->count], NULL, worker_main, worker) != 0) {
            err_set(err, ERR_INTERNAL, "cannot start an ingest thread");
            free_worker(worker);
            ingest_stop(ingest);
            return NULL;
        }
    }
    return ingest;
}

static void wake(struct worker *worker) {
    uint64_t one = 1;
    if (write(worker->wake_fd, &one, sizeof one) < 0) {
        log_warning("an ingest worker could not be woken");
    }
}

void ingest_stop(struct ingest *ingest) {
    if (!ingest) {
        return;
    }
    for (size_t i = 0; i < ingest->count; i++) {
        atomic_store(&ingest->workers[i].stopping, true);
        wake(&ingest->workers[i]);
    }
    for (size_t i = 0; i < ingest->count; i++) {
        pthread_join(ingest->threads[i], NULL);
        free_worker(&ingest->workers[i]);
    }
    free(ingest->workers);
    free(ingest->threads);
    free(ingest);
}

size_t ingest_resume(struct ingest *ingest) {
    size_t resumed = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        if (atomic_load(&ingest->workers[i].stopped_by_breaker)) {
            atomic_store(&ingest->workers[i].resume, true);
            wake(&ingest->workers[i]);
            resumed++;
        }
    }
    return resumed;
}

/* The first worker's trouble, if any. */
static void append_reason(struct ingest *ingest, struct buffer *json) {
    for (size_t i = 0; i < ingest->count; i++) {
        struct worker_status *status = &ingest->workers[i].status;
        char text[sizeof status->text];
        pthread_mutex_lock(&status->lock);
        memcpy(text, status->text, sizeof text);
        pthread_mutex_unlock(&status->lock);
        if (text[0]) {
            buffer_append_text(json, ",\"reason\":");
            buffer_append_json_string(json, slice_of(text));
            return;
        }
    }
}

bool ingest_ready(struct ingest *ingest, struct buffer *json) {
    size_t assigned = 0, database = 0, stopped = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        assigned += atomic_load(&ingest->workers[i].assigned);
        database += atomic_load(&ingest->workers[i].database_ready);
        stopped += atomic_load(&ingest->workers[i].stopped_by_breaker);
    }
    bool consuming = assigned > 0 && stopped == 0 && database == ingest->count;
    buffer_append_format(
        json, "\"kafka\":{\"status\":\"%s\",\"workers\":%zu,\"assigned\":%zu,\"committing\":%zu",
        consuming ? "healthy" : "unhealthy", ingest->count, assigned, database);
    append_reason(ingest, json);
    buffer_append_text(json, "}");
    return consuming;
}

#include "ingest.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../log.h"
#include "../xalloc.h"
#include "worker.h"

struct ingest {
    struct worker *workers;
    pthread_t *threads;
    size_t count;
};

static struct metric_cell *counter(const char *name, const char *help) {
    return metric_cell(metric_family(METRIC_COUNTER, name, help, ""));
}

static void make_metrics(struct worker_metrics *metrics) {
    metrics->processed = counter("ras_messages_processed_total", "Messages taken and committed.");
    metrics->errors = counter("ras_consumer_errors_total", "Failures of consuming or committing.");
    metrics->duplicates = counter("ras_duplicate_messages_total", "Messages Redis had seen.");
    metrics->ignored = counter("ras_ignored_messages_total", "Events their handler ignores.");
    metrics->rows = counter("ras_rows_written_total", "Merged rows sent to the database.");
    metrics->merges = counter("ras_merges_total", "Merges that handlers asked for.");
    metrics->batch_events = metric_cell(metric_family(
        METRIC_GAUGE, "ras_batch_events", "Messages of the last committed transaction.", ""));
    metrics->commit_seconds =
        metric_cell(metric_family(METRIC_HISTOGRAM, "ras_db_transaction_duration_seconds",
                                  "From the first byte sent to the commit's answer.", ""));
    metrics->processing_seconds =
        metric_cell(metric_family(METRIC_HISTOGRAM, "ras_message_processing_duration_seconds",
                                  "Parsing, looking up and handling one read of messages.", ""));
    struct metric *up = metric_family(METRIC_GAUGE, "ras_dependency_up",
                                      "1 where the dependency answered last.", "dependency");
    metrics->database_up = metric_cell(up, "postgres");
    metrics->redis_up = metric_cell(up, "redis");
}

static bool init_worker(struct worker *worker, struct err *err) {
    const struct config *config = worker->config;
    struct pg_options pg_options = {
        .url = config->postgres.url,
        .application_name = "aggregator ingest",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = config->postgres.statement_timeout_ms,
    };
    make_metrics(&worker->metrics);
    worker->pg = pg_create(&pg_options);
    worker->params = pg_params_create();
    for (int i = 0; i < 2; i++) {
        batch_init(&worker->batches[i], script_generation_view(worker->generation));
        batch_clear(worker, &worker->batches[i]);
    }
    worker->filling = &worker->batches[0];
    if (config->redis.url[0]) {
        worker->redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
        if (!worker->redis) {
            return false;
        }
    }
    worker->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (worker->wake_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot make an eventfd");
    }
    worker->scripts = script_instance_create(worker->generation, config, err);
    return worker->scripts && consumer_open(worker, err);
}

static void free_worker(struct worker *worker) {
    consumer_close(worker);
    for (int i = 0; i < 2; i++) {
        if (worker->batches[i].merge) {
            batch_free(&worker->batches[i]);
        }
    }
    for (size_t i = 0; i < worker->statement_count; i++) {
        free(worker->statements[i].name);
        free(worker->statements[i].sql);
    }
    free(worker->statements);
    free(worker->unannounced);
    script_instance_destroy(worker->scripts);
    pg_destroy(worker->pg);
    pg_params_destroy(worker->params);
    if (worker->redis) {
        redis_destroy(worker->redis);
    }
    if (worker->wake_fd > 0) {
        close(worker->wake_fd);
    }
    script_generation_unref(worker->generation);
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
        worker->cache = cache;
        worker->generation = script_generation_ref(generation);
        if (!init_worker(worker, err)) {
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

void ingest_stop(struct ingest *ingest) {
    if (!ingest) {
        return;
    }
    uint64_t one = 1;
    for (size_t i = 0; i < ingest->count; i++) {
        atomic_store(&ingest->workers[i].stopping, true);
        if (write(ingest->workers[i].wake_fd, &one, sizeof one) < 0) {
            log_warning("an ingest worker could not be woken");
        }
    }
    for (size_t i = 0; i < ingest->count; i++) {
        pthread_join(ingest->threads[i], NULL);
        free_worker(&ingest->workers[i]);
    }
    free(ingest->workers);
    free(ingest->threads);
    free(ingest);
}

bool ingest_ready(struct ingest *ingest, struct buffer *json) {
    size_t assigned = 0, database = 0;
    for (size_t i = 0; i < ingest->count; i++) {
        assigned += atomic_load(&ingest->workers[i].assigned);
        database += atomic_load(&ingest->workers[i].database_ready);
    }
    bool consuming = assigned > 0 && database == ingest->count;
    buffer_append_format(
        json, "\"kafka\":{\"status\":\"%s\",\"workers\":%zu,\"assigned\":%zu,\"committing\":%zu}",
        consuming ? "healthy" : "unhealthy", ingest->count, assigned, database);
    return consuming;
}

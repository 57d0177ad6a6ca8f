/* outage_backoff: what a worker does when the database, or its script state, fails: it drops its
 * batches, logs the failure once, and tries again after a time that doubles. */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker.h"

#define BACKOFF_FIRST_US 100000
#define BACKOFF_LAST_US 10000000

static int64_t outage_backoff_us(const struct worker *worker) {
    int64_t us = backoff_us(worker->failures, BACKOFF_FIRST_US, BACKOFF_LAST_US);
    return backoff_jitter_us(us, (uint64_t)clock_monotonic_us());
}

static void outage_backoff_publish(struct worker *worker, const char *what, const struct err *err) {
    char text[sizeof worker->status.text];
    /* Whoever asks for readiness needs no key: what a server said is in the log. */
    bool outside = worker->pipeline.scripts &&
                   (err->sqlstate[0] || err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT);
    snprintf(text, sizeof text, "waits for %s: %.400s", what,
             outside ? pg_plain_reason(err) : err->text);
    worker_set_status(worker, text);
}

/* Nothing is lost by dropping the batches: the offsets in Postgres say where to go on. */
static void outage_backoff_abandon(struct worker *worker) {
    consumer_restart(worker);
    pg_disconnect(worker->pipeline.pg);
    worker->retry_at_us = clock_monotonic_us() + outage_backoff_us(worker);
    worker->failures++;
}

/* A transaction that takes longer than a statement may is not to be tried at that size again. */
static void outage_backoff_shrink_batches(struct worker *worker, const struct err *err) {
    bool too_slow = err->kind == ERR_TIMEOUT || strcmp(err->sqlstate, "57014") == 0;
    if (!too_slow || !worker->inflight || worker->inflight->count < 2) {
        return;
    }
    worker->pipeline.batch_limit = worker->inflight->count / 2;
    log_warning("the transaction took too long: batches are made smaller",
                LOG_INT("worker", worker->number),
                LOG_INT("events", (int64_t)worker->pipeline.batch_limit));
}

/* Slowly: what was too much may be so again. */
void outage_grow_batches(struct pipeline *pipeline) {
    size_t most = (size_t)pipeline->config->ingest.batch_max_events;
    size_t next = pipeline->batch_limit + most / 64 + 1;
    pipeline->batch_limit = next < most ? next : most;
}

/* The database only reads (25006): another process, which can write, gets the partitions. */
static void outage_backoff_leave_group(struct worker *worker) {
    if (worker->kafka) {
        log_warning("the database is read-only: the partitions are left to other processes",
                    LOG_INT("worker", worker->number));
        consumer_close(worker);
        worker->reopen.reason = REOPEN_NONE;
    }
}

void outage_fail(struct worker *worker, const struct err *err) {
    bool scripts = worker->pipeline.scripts != NULL;
    bool was_ready = atomic_exchange(&worker->database_ready, false);
    if (scripts) {
        metric_set(worker->database_up, 0);
    }
    bool is_other = strcmp(worker->logged_sqlstate, err->sqlstate) != 0;
    if (was_ready || worker->failures == 0 || is_other) {
        snprintf(worker->logged_sqlstate, sizeof worker->logged_sqlstate, "%s", err->sqlstate);
        log_error(scripts ? "ingest waits for the database" : "ingest waits for a script state",
                  LOG_INT("worker", worker->number), LOG_TEXT("error", err->text),
                  LOG_TEXT("kind", err_kind_name(err->kind)),
                  LOG_TEXT("sqlstate", err->sqlstate[0] ? err->sqlstate : NULL));
    }
    outage_backoff_publish(worker, scripts ? "the database" : "a script state", err);
    metric_add(worker->errors, 1);
    outage_backoff_shrink_batches(worker, err);
    outage_backoff_abandon(worker);
    if (strcmp(err->sqlstate, "25006") == 0) {
        outage_backoff_leave_group(worker);
    }
}

/* Somebody has moved our offsets: whatever we hold is no longer ours to write. */
void outage_offsets_moved(struct worker *worker, const char *detail) {
    log_warning("offsets moved elsewhere: reading them again", LOG_INT("worker", worker->number),
                LOG_TEXT("detail", detail));
    outage_backoff_abandon(worker);
}

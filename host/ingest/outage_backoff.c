/* outage_backoff: after a failure of the database or the script state the worker drops its batches,
 * logs once, and retries after a time that doubles. */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker.h"

#define BACKOFF_FIRST_US 100000
#define BACKOFF_LAST_US 2000000

static void outage_backoff_publish(struct worker *worker, const char *what, const struct err *err) {
    char text[sizeof worker->status.text];
    /* Readiness needs no key: it gets a plain reason, the log gets the server's text. */
    bool outside = worker->pipeline.scripts &&
                   (err->sqlstate[0] || err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT);
    snprintf(text, sizeof text, "waits for %s: %.400s", what,
             outside ? pg_plain_reason(err) : err->text);
    worker_set_status(worker, text);
}

/* No event is lost: the dropped batches are read again from the offsets in Postgres. */
static void outage_backoff_abandon(struct worker *worker) {
    consumer_restart(worker);
    pg_disconnect(worker->pipeline.pg);
    int64_t now_us = clock_monotonic_us();
    int64_t us = backoff_us(worker->failures++, BACKOFF_FIRST_US, BACKOFF_LAST_US);
    worker->retry_at_us = now_us + backoff_jitter_us(us, (uint64_t)now_us);
}

/* Halves the batch after a time-out. */
static void outage_backoff_shrink_batches(struct worker *worker, const struct err *err) {
    bool too_slow = err->kind == ERR_TIMEOUT || strcmp(err->sqlstate, "57014") == 0;
    if (!too_slow || !worker->inflight || worker->inflight->count < 2) {
        return;
    }
    worker->pipeline.batch_limit = worker->inflight->count / 2;
    log_warning("the transaction timed out: batches become smaller",
                LOG_INT("worker", worker->number),
                LOG_INT("events", (int64_t)worker->pipeline.batch_limit));
}

void outage_grow_batches(struct pipeline *pipeline) {
    size_t most = (size_t)pipeline->config->ingest.batch_max_events;
    size_t next = pipeline->batch_limit + most / 64 + 1;
    pipeline->batch_limit = next < most ? next : most;
}

/* A read-only database (SQLSTATE 25006): a process that can write gets the partitions. */
static void outage_backoff_leave_group(struct worker *worker) {
    if (worker->kafka) {
        log_warning("the database is read-only: the worker leaves the consumer group",
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

void outage_offsets_moved(struct worker *worker, const char *detail) {
    log_warning("another process moved the offsets: re-reading them",
                LOG_INT("worker", worker->number), LOG_TEXT("detail", detail));
    outage_backoff_abandon(worker);
}

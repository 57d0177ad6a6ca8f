/* worker: the loop of one ingest thread. It waits in poll(2) for Kafka, for Postgres or for a
 * request to stop, and never anywhere else for long. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "../clock.h"
#include "../log.h"
#include "../view_sql.h"
#include "worker.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define KAFKA_COMMIT_INTERVAL_US 1000000
#define LAG_INTERVAL_US 5000000

/* ---- failure and back-off ----------------------------------------------------------------- */

static int64_t backoff_us(struct worker *worker) {
    int shift = worker->failures < 7 ? worker->failures : 7;
    int64_t ms = (int64_t)BACKOFF_MIN_MS << shift;
    if (ms > BACKOFF_MAX_MS) {
        ms = BACKOFF_MAX_MS;
    }
    /* Jitter: so that workers which failed together do not come back together. */
    int64_t jitter_ms = clock_monotonic_us() % (ms / 2 + 1);
    return (ms / 2 + jitter_ms) * 1000;
}

/* Nothing is lost by dropping the batches: the offsets in Postgres say where to go on. */
void worker_fail(struct worker *worker, const struct err *err) {
    bool was_ready = atomic_exchange(&worker->database_ready, false);
    metric_set(worker->metrics.database_up, 0);
    if (was_ready || worker->failures == 0) {
        log_error("ingest waits for the database", LOG_INT("worker", worker->number),
                  LOG_TEXT("error", err->text), LOG_TEXT("kind", err_kind_name(err->kind)),
                  LOG_TEXT("sqlstate", err->sqlstate[0] ? err->sqlstate : NULL));
    }
    metric_add(worker->metrics.errors, 1);
    worker->inflight = NULL;
    pg_disconnect(worker->pg);
    consumer_restart(worker);
    worker->retry_at_us = clock_monotonic_us() + backoff_us(worker);
    worker->failures++;
}

/* Another process has moved our offsets: whatever we hold is no longer ours to write. */
static void step_back(struct worker *worker, const struct err *err) {
    log_warning("offsets moved elsewhere: reading them again", LOG_INT("worker", worker->number),
                LOG_TEXT("detail", err->text));
    worker->inflight = NULL;
    pg_disconnect(worker->pg);
    consumer_restart(worker);
}

/* ---- the batch under way ------------------------------------------------------------------ */

static void finish_batch(struct worker *worker) {
    struct batch *batch = worker->inflight;
    worker->inflight = NULL;
    seen_mark(worker, batch);
    size_t duplicates = 0, ignored = 0;
    for (size_t i = 0; i < batch->count; i++) {
        duplicates += batch->events[i].state == EVENT_DUPLICATE;
        ignored += batch->events[i].state == EVENT_IGNORED;
    }
    metric_add(worker->metrics.processed, (double)batch->count);
    metric_add(worker->metrics.duplicates, (double)duplicates);
    metric_add(worker->metrics.ignored, (double)ignored);
    metric_add(worker->metrics.merges, (double)merge_op_count(batch->merge));
    metric_set(worker->metrics.batch_events, (double)batch->count);
    metric_observe(worker->metrics.commit_seconds,
                   (double)(clock_monotonic_us() - batch->started_us) / 1e6);
    batch_clear(worker, batch);
    worker->failures = 0;
    if (clock_monotonic_us() >= worker->kafka_commit_at_us) {
        worker->kafka_commit_at_us = clock_monotonic_us() + KAFKA_COMMIT_INTERVAL_US;
        consumer_report_offsets(worker);
    }
}

static void settle_failure(struct worker *worker, struct err *err) {
    if (err->kind == ERR_INPUT && pg_connected(worker->pg)) {
        struct err bisect_err = {0};
        if (commit_bisect(worker, worker->inflight, &bisect_err)) {
            finish_batch(worker);
            return;
        }
        *err = bisect_err;
    }
    if (err->kind == ERR_CONFLICT) {
        step_back(worker, err);
    } else {
        worker_fail(worker, err);
    }
}

static void progress_batch(struct worker *worker) {
    struct err err = {0};
    switch (commit_progress(worker, &err)) {
    case PG_PENDING:
        return;
    case PG_DONE:
        finish_batch(worker);
        return;
    case PG_FAILED:
        settle_failure(worker, &err);
        return;
    }
}

static void begin_commit(struct worker *worker) {
    struct err err = {0};
    worker->inflight = worker->filling;
    worker->filling = &worker->batches[worker->filling == &worker->batches[0]];
    if (!commit_begin(worker, worker->inflight, &err)) {
        settle_failure(worker, &err);
    } else {
        progress_batch(worker);
    }
}

/* ---- the database ------------------------------------------------------------------------- */

static void prepare_database(struct worker *worker) {
    struct err err = {0};
    bool fresh = !pg_connected(worker->pg);
    bool ok = pg_connect(worker->pg, &err) &&
              (!fresh || view_sql_check(worker->pg, script_generation_view(worker->generation),
                                        worker->config->postgres.statement_timeout_ms, &err));
    if (ok && worker->must_load_offsets) {
        ok = consumer_load_offsets(worker, &err);
    }
    if (!ok) {
        worker_fail(worker, &err);
        return;
    }
    if (!atomic_exchange(&worker->database_ready, true)) {
        log_info("database is there", LOG_INT("worker", worker->number));
    }
    metric_set(worker->metrics.database_up, 1);
}

/* ---- lag ---------------------------------------------------------------------------------- */

static void measure_lag(struct worker *worker) {
    struct metric *messages = metric_family(
        METRIC_GAUGE, "ras_consumer_lag_messages",
        "Messages between the committed offset and the end of the partition.", "topic,partition");
    struct metric *seconds = metric_family(
        METRIC_GAUGE, "ras_consumer_lag_seconds",
        "Age of the newest message taken while more wait, else 0.", "topic,partition");
    for (size_t i = 0; i < worker->partition_count; i++) {
        const struct partition *partition = &worker->partitions[i];
        int64_t low = 0, high = 0;
        char number[16];
        if (rd_kafka_get_watermark_offsets(worker->kafka, partition->topic, partition->number, &low,
                                           &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
            high < 0) {
            continue;
        }
        int64_t next = partition->next_offset >= 0 ? partition->next_offset : low;
        int64_t age_us = partition->event_time_us > 0 && high > next
                             ? clock_wall_us() - partition->event_time_us
                             : 0;
        snprintf(number, sizeof number, "%d", partition->number);
        metric_set(metric_cell(messages, partition->topic, number),
                   high > next ? (double)(high - next) : 0);
        metric_set(metric_cell(seconds, partition->topic, number), (double)age_us / 1e6);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void wait_for_work(struct worker *worker, bool kafka_dry) {
    struct pollfd fds[3] = {{worker->wake_fd, POLLIN, 0}, {-1, POLLIN, 0}, {-1, 0, 0}};
    int timeout_ms = 1000;
    bool room = !batch_full(worker, worker->filling);
    if (room && !kafka_dry) {
        return;
    }
    if (room) {
        fds[1].fd = worker->kafka_fd;
    }
    if (worker->inflight) {
        fds[2].fd = pg_socket(worker->pg);
        fds[2].events = pg_poll_events(worker->pg);
    } else if (worker->must_load_offsets || !pg_connected(worker->pg)) {
        int retry_ms = clock_remaining_ms(worker->retry_at_us);
        timeout_ms = retry_ms < timeout_ms ? retry_ms : timeout_ms;
    }
    poll(fds, 3, timeout_ms);
    uint64_t count;
    if (fds[1].revents && read(worker->kafka_fd, &count, sizeof count) < 0) {
        log_debug("eventfd was read already");
    }
}

static bool database_needed(const struct worker *worker) {
    return !worker->inflight && (worker->must_load_offsets || !pg_connected(worker->pg)) &&
           clock_monotonic_us() >= worker->retry_at_us;
}

static void turn(struct worker *worker) {
    bool dry = batch_fill(worker);
    if (worker->inflight) {
        progress_batch(worker);
    }
    if (database_needed(worker)) {
        prepare_database(worker);
    }
    if (!worker->inflight && worker->filling->count > 0 && !worker->must_load_offsets &&
        pg_connected(worker->pg)) {
        begin_commit(worker);
    }
    if (clock_monotonic_us() >= worker->lag_at_us) {
        worker->lag_at_us = clock_monotonic_us() + LAG_INTERVAL_US;
        measure_lag(worker);
    }
    wait_for_work(worker, dry);
}

/* The transaction under way ends, what was read but not sent is left to the next owner. */
static void drain(struct worker *worker) {
    while (worker->inflight) {
        struct pollfd wait = {pg_socket(worker->pg), pg_poll_events(worker->pg), 0};
        poll(&wait, 1, 100);
        progress_batch(worker);
    }
}

void *worker_main(void *argument) {
    struct worker *worker = argument;
    while (!atomic_load(&worker->stopping)) {
        turn(worker);
    }
    drain(worker);
    consumer_close(worker);
    return NULL;
}

/* worker: the loop of one ingest thread. It sleeps only in poll(2), for Kafka, Postgres, Redis or a
 * request. */
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/recent_requests.h"
#include "base/thread.h"
#include "pipeline/after_commit.h"
#include "pipeline/announcer.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"
#include "worker.h"

#define KEPT_BATCHES 32             /* see pipeline.h, keeps_batches */
#define CHECK_INTERVAL_US 5000000   /* an idle worker notices another process' replay */
#define BEAT_INTERVAL_US 250000     /* above the client's heartbeat.interval.ms */
#define QUIET_US 30000000           /* then the client's own pace of a second is enough */
#define LAG_INTERVAL_US 500000      /* lag metrics are at most a second old */
#define STALL_INTERVAL_US 10000000  /* the second check finds a stalled partition */
#define TROUBLE_INTERVAL_US 2000000 /* queries whether Kafka can be read again */

void worker_set_status(struct worker *worker, const char *text) {
    pthread_mutex_lock(&worker->status.lock);
    snprintf(worker->status.text, sizeof worker->status.text, "%s", text);
    pthread_mutex_unlock(&worker->status.lock);
}

/* ---- the open transaction ------------------------------------------------------------------ */

static void worker_finish_batch(struct worker *worker) {
    struct batch *batch = worker->inflight;
    worker->inflight = NULL;
    worker->had_backlog |= batch_full(&worker->pipeline, batch);
    after_commit(&worker->pipeline, batch);
    outage_grow_batches(&worker->pipeline);
    waiting_turn(worker); /* publishes the end of a trouble */
    worker->failures = 0;
    worker->pipeline.keeps_batches -= worker->pipeline.keeps_batches > 0;
}

/* The database refused a batch that cannot be bisected. */
static void worker_read_again(struct worker *worker, const char *message, const struct err *err) {
    log_warning(message, LOG_INT("worker", worker->number), LOG_TEXT("error", err->text));
    worker->pipeline.keeps_batches = KEPT_BATCHES;
    consumer_restart(worker);
}

static void worker_handle_failure(struct worker *worker, struct err *err) {
    if (err->kind == ERR_INPUT && batch_is_outdated(&worker->pipeline, worker->inflight)) {
        worker_read_again(
            worker, "the database refused a batch of the old scripts: the new ones handle it again",
            err);
    } else if (bisect_is_due(&worker->pipeline, err) && worker->inflight->is_partial) {
        worker_read_again(worker,
                          "the database refused a batch: it is read again to find the event", err);
    } else if (bisect_is_due(&worker->pipeline, err) &&
               bisect_batch(&worker->pipeline, worker->inflight, err)) {
        worker->pipeline.keeps_batches = KEPT_BATCHES; /* another one may follow */
        worker_finish_batch(worker);
    } else if (worker->pipeline.transaction.opened_breaker) {
        worker->pipeline.transaction.opened_breaker = false;
        consumer_restart(worker); /* without the handler that waits now */
    } else if (err->kind == ERR_CONFLICT) {
        outage_offsets_moved(worker, err->text);
    } else {
        outage_fail(worker, err);
    }
}

static void worker_progress_batch(struct worker *worker) {
    struct err err = {0};
    switch (commit_progress(&worker->pipeline, &err)) {
    case PG_PENDING:
        return;
    case PG_DONE:
        worker_finish_batch(worker);
        return;
    case PG_FAILED:
        worker_handle_failure(worker, &err);
        return;
    }
}

struct batch *worker_spare_batch(struct worker *worker) {
    struct batch *batch = worker->batches;
    while (batch == worker->filling || batch == worker->retiring || batch == worker->inflight) {
        batch++;
    }
    return batch;
}

static struct batch *worker_next_batch(const struct worker *worker) {
    return worker->retiring ? worker->retiring : worker->filling;
}

static void worker_begin_commit(struct worker *worker) {
    struct err err = {0};
    worker->inflight = worker_next_batch(worker);
    if (worker->retiring) {
        worker->retiring = NULL;
    } else {
        worker->filling = worker_spare_batch(worker);
        if (batch_is_ready(&worker->pipeline, worker->inflight)) {
            batch_split(&worker->pipeline, worker->inflight, worker->filling);
        }
    }
    if (!commit_begin(&worker->pipeline, worker->inflight, &err)) {
        worker_handle_failure(worker, &err);
    } else {
        worker_progress_batch(worker);
    }
}

/* Encodes while Postgres commits the batch before. */
static void worker_encode_ahead(struct worker *worker) {
    struct batch *batch = worker_next_batch(worker);
    if (worker->inflight && batch_full(&worker->pipeline, batch) &&
        batch->handled == batch->count) {
        encode_rows(&worker->pipeline, batch);
    }
}

/* ---- the database -------------------------------------------------------------------------- */

static void worker_prepare_database(struct worker *worker) {
    struct err err = {0};
    bool ok = pipeline_connect(&worker->pipeline, &err);
    if (ok && !worker->kafka && worker->reopen.reason == REOPEN_NONE) {
        ok = consumer_open(worker, &err); /* outage_fail left the group */
    }
    if (ok && worker->must_load_offsets) {
        ok = fetch_start(worker, &err);
    }
    if (!ok && err.kind == ERR_CONFLICT) {
        outage_offsets_moved(worker, err.text);
        return;
    }
    if (!ok) {
        outage_fail(worker, &err);
        return;
    }
    if (!atomic_exchange(&worker->database_ready, true)) {
        log_info("database is available", LOG_INT("worker", worker->number));
    }
    worker_set_status(worker, "");
    metric_set(worker->database_up, 1);
}

/* Notices a replay, which moves offsets back. A transaction would notice it by its compare-and-set.
 */
static void worker_check_offsets(struct worker *worker) {
    struct err err = {0};
    if (worker->inflight || worker->must_load_offsets || !worker->has_assignment ||
        !pg_connected(worker->pipeline.pg)) {
        return;
    }
    worker->check_at_us = clock_monotonic_us() + CHECK_INTERVAL_US;
    if (worker->unplaced > 0) {
        consumer_restart(worker); /* asks Kafka again where they begin */
    } else if (offsets_unmoved(&worker->pipeline, &err)) {
        return;
    } else if (err.kind == ERR_NONE) {
        outage_offsets_moved(worker, "found by a periodic check");
    } else {
        outage_fail(worker, &err);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

static bool worker_may_handle_more(const struct worker *worker) {
    const struct pipeline *pipeline = &worker->pipeline;
    return !batch_is_ready(pipeline, worker->filling) && pipeline->scripts;
}

static int worker_bounded_ms(int timeout_ms, int64_t at_us) {
    int left_ms = clock_remaining_ms(at_us);
    return left_ms < timeout_ms ? left_ms : timeout_ms;
}

/* A heartbeat tells the member of a rebalance, for which its records wait: soon while there are
 * any.
 */
static bool worker_has_to_beat(const struct worker *worker) {
    return worker->kafka &&
           (!worker->has_assignment || clock_monotonic_us() - worker->active_at_us < QUIET_US);
}

static void worker_wait_for_work(struct worker *worker, bool kafka_dry) {
    struct pollfd fds[4] = {{worker->wake_fd, POLLIN, 0}, {-1, POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}};
    int timeout_ms = worker_bounded_ms(worker_has_to_beat(worker) ? BEAT_INTERVAL_US / 1000 : 1000,
                                       worker->measure_at_us);
    bool room = !batch_full(&worker->pipeline, worker->filling);
    if ((room && !kafka_dry) || worker_may_handle_more(worker) || script_switch_is_due(worker)) {
        return;
    }
    if (room && worker->kafka) {
        fds[1].fd = kafka_consumer_event_fd(worker->kafka);
    }
    if (worker->inflight) {
        fds[2].fd = pg_socket(worker->pipeline.pg);
        fds[2].events = pg_poll_events(worker->pipeline.pg);
    } else if (worker->must_load_offsets || !pg_connected(worker->pipeline.pg)) {
        timeout_ms = worker_bounded_ms(timeout_ms, worker->retry_at_us);
    } else if (worker->unplaced > 0) {
        timeout_ms = worker_bounded_ms(timeout_ms, worker->check_at_us);
    }
    fds[3] = announcer_poll(&worker->pipeline.announcer);
    timeout_ms = worker_bounded_ms(timeout_ms, waits_next_us(&worker->pipeline.waits));
    poll(fds, 4, timeout_ms);
    for (int i = 0; i < 2; i++) {
        uint64_t count;
        if (fds[i].revents && read(fds[i].fd, &count, sizeof count) < 0) {
            log_debug("eventfd is empty");
        }
    }
}

static bool worker_database_needed(const struct worker *worker) {
    return !worker->inflight && (worker->must_load_offsets || !pg_connected(worker->pipeline.pg)) &&
           clock_monotonic_us() >= worker->retry_at_us;
}

/* After a backlog only: a page returned too early costs a page fault when it is needed again. */
static void worker_give_back_memory(struct worker *worker) {
    if (worker->had_backlog && !worker->inflight && worker_next_batch(worker)->count == 0) {
        worker->had_backlog = false;
        (void)malloc_trim(0);
    }
}

/* idle: all fetched records are taken. */
static void worker_check_periodically(struct worker *worker, bool idle) {
    int64_t now_us = clock_monotonic_us();
    if (worker->kafka) {
        kafka_offsets_turn(worker);
    }
    if (!idle) {
        worker->active_at_us = now_us;
    }
    if (now_us >= worker->beat_at_us && worker_has_to_beat(worker)) {
        worker->beat_at_us = now_us + BEAT_INTERVAL_US;
        kafka_consumer_beat(worker->kafka);
    }
    if (now_us >= worker->measure_at_us) {
        bool known = lag_measure(worker); /* blocks for a second if Kafka does not reply */
        worker->measure_at_us = now_us + (known ? LAG_INTERVAL_US : CHECK_INTERVAL_US);
        worker_give_back_memory(worker);
    }
    if (now_us >= worker->check_at_us) {
        worker_check_offsets(worker);
    }
    if (now_us >= worker->trouble_look_at_us) {
        worker->trouble_look_at_us = now_us + TROUBLE_INTERVAL_US;
        trouble_look(worker);
        if (worker->kafka) {
            kafka_consumer_renew_login(worker->kafka, false);
        }
    }
    if (idle && now_us >= worker->stall_look_at_us) {
        worker->stall_look_at_us = now_us + STALL_INTERVAL_US;
        stall_look(worker);
    }
}

static bool worker_may_begin_commit(const struct worker *worker) {
    const struct batch *batch = worker_next_batch(worker);
    /* Without a script state commit_begin fails, which starts the back-off. */
    bool ready = batch_is_ready(&worker->pipeline, batch) || !worker->pipeline.scripts;
    return !worker->inflight && batch->count > 0 && ready && !worker->must_load_offsets &&
           pg_connected(worker->pipeline.pg);
}

static void worker_turn(struct worker *worker) {
    if (atomic_exchange(&worker->resume, false)) {
        waiting_resume(worker);
    }
    bool may_take = script_switch_turn(worker);
    if (worker->inflight) { /* before filling, which may wait for Redis: readers wait */
        worker_progress_batch(worker);
    }
    hold_turn(worker);
    reopen_turn(worker);
    if (worker->filling->count == 0) { /* a batch that was full stays so: its rows may be encoded */
        worker->pipeline.beside_requests = recent_requests_any();
    }
    bool dry = !worker->kafka || consumer_fill(worker, may_take);
    waiting_turn(worker);
    if (script_switch_is_due(worker)) { /* before the batch is finished, which takes time */
        script_switch_turn(worker);
    }
    worker_encode_ahead(worker);
    if (worker_database_needed(worker)) {
        worker_prepare_database(worker);
    }
    worker_check_periodically(worker, may_take && dry && !worker->inflight);
    if (worker_may_begin_commit(worker)) {
        worker_begin_commit(worker);
    }
    announcer_progress(&worker->pipeline);
    worker_wait_for_work(worker, dry);
}

/* The next owner reads again what was not sent. */
void worker_drain(struct worker *worker) {
    while (worker->inflight) {
        struct pollfd wait = {pg_socket(worker->pipeline.pg), pg_poll_events(worker->pipeline.pg),
                              0};
        poll(&wait, 1, 100);
        worker_progress_batch(worker);
    }
}

void *worker_main(void *argument) {
    struct worker *worker = argument;
    char name[16];
    snprintf(name, sizeof name, "ingest %d", worker->number);
    thread_set_own_name(name);
    thread_lower_own_priority(worker->config->ingest.nice);
    while (!atomic_load(&worker->stopping)) {
        worker_turn(worker);
    }
    worker_drain(worker);
    consumer_close(worker);
    return NULL;
}

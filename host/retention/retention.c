#include "retention.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/timestamp.h"
#include "base/xalloc.h"
#include "gauges.h"
#include "schema/citus.h"
#include "sweep.h"

#define LOOK_INTERVAL_US (3600 * 1000000LL) /* whether a day has passed */
#define FAILURE_REST_US (60 * 1000000LL)
#define BUSY_REST_US (300 * 1000000LL)
#define REST_FACTOR 3         /* after a transaction it pauses this many times its duration, … */
#define REST_MIN_US 10000     /* … at least */
#define REST_MAX_US 5000000LL /* … and at most so long */
#define TABLES_SHOWN 64

struct retention {
    struct script_generation *generation; /* of the thread alone, as all up to `thread` */
    struct cache *cache;
    struct gauges gauges;
    bool failing;                   /* and a log line says so */
    struct thread thread;           /* its lock guards what follows */
    struct script_generation *next; /* a reference; NULL: none */
    bool held;                      /* the scripts may be taken back: nothing is removed */
    struct shown {
        char table[64];
        struct sweep_state state;
    } shown[TABLES_SHOWN];
    size_t shown_count;
};

/* ---- metrics ------------------------------------------------------------------------------- */

static void retention_count_rows(const char *table, int64_t rows) {
    struct metric *family = metric_family(METRIC_COUNTER, "ras_retention_removed_rows_total",
                                          "Rows that left by the view's `retention`.", "table");
    metric_add(metric_cell(family, table), (double)rows);
}

static struct metric_cell *retention_failures(void) {
    return metric_single(METRIC_COUNTER, "ras_retention_failures_total",
                         "Attempts to remove what has left that failed; each is repeated.");
}

/* ---- what others see ----------------------------------------------------------------------- */

static void retention_note(struct retention *retention, size_t at, const struct view_table *table,
                           const struct sweep_state *state) {
    gauges_set(&retention->gauges, table, state);
    thread_lock(&retention->thread);
    snprintf(retention->shown[at].table, sizeof retention->shown[at].table, "%s", table->name);
    retention->shown[at].state = *state;
    retention->shown_count = at + 1;
    thread_unlock(&retention->thread);
}

void retention_report(struct retention *retention, struct buffer *json) {
    json_open(json, "retention", "[");
    if (retention) {
        thread_lock(&retention->thread);
        for (size_t i = 0; i < retention->shown_count; i++) {
            const struct sweep_state *state = &retention->shown[i].state;
            json_open(json, NULL, "{");
            json_put_text(json, "table", slice_of(retention->shown[i].table));
            json_put_time(json, "horizon", state->horizon_us);
            json_put_time(json, "expired_before", state->expired_before_us);
            json_put_time(json, "swept_at", state->swept_us);
            json_put_int(json, "removed", state->removed);
            buffer_append_text(json, "}");
        }
        thread_unlock(&retention->thread);
    }
    buffer_append_text(json, "]");
}

/* ---- the work ------------------------------------------------------------------------------ */

/* False: stop, or other scripts are there. */
static bool retention_pause(struct retention *retention, int64_t for_us) {
    int64_t until_us = clock_monotonic_us() + for_us;
    thread_lock(&retention->thread);
    while (!retention->next && thread_sleep(&retention->thread, until_us)) {
    }
    bool goes_on = !retention->next && !retention->thread.stopping;
    thread_unlock(&retention->thread);
    return goes_on;
}

static void retention_log_sweep(const struct retention *retention, size_t at, int64_t rows,
                                int64_t started_us) {
    const struct shown *shown = &retention->shown[at]; /* no other thread writes it */
    char horizon[TIMESTAMP_TEXT_CAP];
    timestamp_format(shown->state.horizon_us, horizon);
    log_info("retention removed rows", LOG_TEXT("table", shown->table), LOG_INT("rows", rows),
             LOG_TEXT("horizon", horizon),
             LOG_INT("took_s", (clock_monotonic_us() - started_us) / 1000000));
}

/* Removes all that is due, with pauses. */
static enum sweep_result retention_sweep_table(struct retention *retention, struct sweep *sweep,
                                               const struct view_table *table, int64_t *rows,
                                               struct err *err) {
    for (;;) {
        int64_t removed, started_us = clock_monotonic_us();
        enum sweep_result result = sweep_step(sweep, table, &removed, err);
        *rows += removed;
        if (result != SWEEP_MORE) {
            return result;
        }
        int64_t rest_us = (clock_monotonic_us() - started_us) * REST_FACTOR;
        rest_us = rest_us < REST_MIN_US ? REST_MIN_US : rest_us;
        if (!retention_pause(retention, rest_us < REST_MAX_US ? rest_us : REST_MAX_US)) {
            return SWEEP_BUSY;
        }
    }
}

static bool retention_look(struct retention *retention, struct sweep *sweep,
                           const struct view_table *table, size_t at, struct err *err) {
    struct sweep_state state;
    bool ok =
        pg_connected(sweep->session.pg) && sweep_read_state(&sweep->session, table, &state, err);
    if (ok) {
        retention_note(retention, at, table, &state);
    }
    return ok;
}

static enum sweep_result retention_work_on(struct retention *retention, struct sweep *sweep,
                                           const struct view_table *table, size_t at,
                                           struct err *err) {
    int64_t rows = 0, started_us = clock_monotonic_us();
    enum sweep_result result = sweep_move(sweep, table, 0, err);
    bool looked = retention_look(retention, sweep, table, at, err);
    if (looked && result == SWEEP_DONE) { /* which may take days */
        result = retention_sweep_table(retention, sweep, table, &rows, err);
        looked = retention_look(retention, sweep, table, at, err);
    }
    if (rows > 0) {
        retention_log_sweep(retention, at, rows, started_us);
    }
    return looked ? result : SWEEP_FAILED;
}

static enum sweep_result retention_work(struct retention *retention, struct err *err) {
    const struct view *view = script_generation_view(retention->generation);
    struct sweep sweep;
    enum sweep_result worst = SWEEP_DONE;
    if (!sweep_open(&sweep, retention->generation, retention->cache, err) ||
        !citus_allows(sweep.session.pg, CITUS_LACKS_RETENTION, err)) {
        sweep_close(&sweep);
        return SWEEP_FAILED;
    }
    sweep.count = retention_count_rows;
    size_t at = 0;
    for (size_t i = 0; i < view->table_count && worst != SWEEP_FAILED; i++) {
        if (view->tables[i].retention && at < TABLES_SHOWN && retention_pause(retention, 0)) {
            enum sweep_result result =
                retention_work_on(retention, &sweep, &view->tables[i], at++, err);
            worst = result < worst ? result : worst;
        }
    }
    sweep_close(&sweep);
    return worst;
}

/* Logs once until it succeeds. */
static void retention_note_failure(struct retention *retention, const struct err *err) {
    metric_add(retention_failures(), 1);
    if (!retention->failing) {
        log_warning("cannot remove what has left the view by its retention; it is tried again each "
                    "minute",
                    LOG_TEXT("error", err->text));
    }
    retention->failing = true;
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Waits while it is held. False: stop. */
static bool retention_switch(struct retention *retention) {
    thread_lock(&retention->thread);
    while (retention->held && !retention->thread.stopping) {
        (void)thread_sleep(&retention->thread, INT64_MAX / 4);
    }
    struct script_generation *next = retention->next;
    bool stopping = retention->thread.stopping;
    retention->next = NULL;
    retention->shown_count = next ? 0 : retention->shown_count;
    thread_unlock(&retention->thread);
    if (next) {
        gauges_forget(&retention->gauges);
        script_generation_unref(retention->generation);
        retention->generation = next;
    }
    return !stopping;
}

/* Returns the time until the next turn. */
static int64_t retention_take_turn(struct retention *retention) {
    struct err err = {0};
    if (!script_generation_view(retention->generation)->forgets) {
        return INT64_MAX / 4;
    }
    switch (retention_work(retention, &err)) {
    case SWEEP_FAILED:
        retention_note_failure(retention, &err);
        return FAILURE_REST_US;
    case SWEEP_BUSY:
    case SWEEP_MORE:
        return BUSY_REST_US;
    case SWEEP_DONE:
        break;
    }
    retention->failing = false;
    return LOOK_INTERVAL_US;
}

static void *retention_main(void *context) {
    struct retention *retention = context;
    while (retention_switch(retention)) {
        retention_pause(retention, retention_take_turn(retention));
    }
    return NULL;
}

static void retention_free(struct retention *retention) {
    script_generation_unref(retention->generation);
    script_generation_unref(retention->next);
    thread_free(&retention->thread);
    free(retention);
}

struct retention *retention_start(struct script_generation *generation, struct cache *cache,
                                  struct err *err) {
    struct retention *retention = xcalloc(1, sizeof *retention);
    retention->generation = script_generation_ref(generation);
    retention->cache = cache;
    retention->held = true;
    thread_init(&retention->thread);
    if (!thread_start(&retention->thread, retention_main, retention, "retention", err)) {
        retention_free(retention);
        return NULL;
    }
    return retention;
}

void retention_stop(struct retention *retention) {
    if (!retention) {
        return;
    }
    thread_stop(&retention->thread);
    retention_free(retention);
}

void retention_replace_scripts(struct retention *retention, struct script_generation *generation,
                               bool held) {
    if (!retention) {
        return;
    }
    thread_lock(&retention->thread);
    struct script_generation *unused = retention->next;
    retention->next = script_generation_ref(generation);
    retention->held = held;
    thread_wake(&retention->thread);
    thread_unlock(&retention->thread);
    script_generation_unref(unused);
}

void retention_release(struct retention *retention) {
    if (!retention) {
        return;
    }
    thread_tell(&retention->thread, &retention->held, false);
}

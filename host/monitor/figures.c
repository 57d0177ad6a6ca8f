#include "figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "http/endpoint.h"

enum figure {
    FIGURE_EVENTS,
    FIGURE_REJECTED,
    FIGURE_LAG,
    FIGURE_LAG_AGE,
    FIGURE_REQUESTS,
    FIGURE_ERRORS,
    FIGURE_MEDIAN,
    FIGURE_TAIL,
    FIGURE_CACHE,
    FIGURE_COMMIT,
    FIGURE_OUTBOX,
    FIGURE_COUNT
};

static const char *const figures_names[FIGURE_COUNT] = {
    [FIGURE_EVENTS] = "events_per_s",      [FIGURE_REJECTED] = "rejected_per_s",
    [FIGURE_LAG] = "lag_records",          [FIGURE_LAG_AGE] = "lag_s",
    [FIGURE_REQUESTS] = "requests_per_s",  [FIGURE_ERRORS] = "errors_per_s",
    [FIGURE_MEDIAN] = "request_p50_s",     [FIGURE_TAIL] = "request_p99_s",
    [FIGURE_CACHE] = "cache_hits_percent", [FIGURE_COMMIT] = "commit_p99_s",
    [FIGURE_OUTBOX] = "outbox_pending",
};

/* Counters since the start of the process. */
struct totals {
    double events, rejected, requests, errors, hits, misses;
    uint64_t answers[METRIC_BUCKETS], commits[METRIC_BUCKETS];
};

struct figures {
    struct thread thread;
    struct totals before; /* owned by the thread */
    int64_t before_us;    /* monotonic */
    /* Under the thread's lock: a ring; sample n is at n % FIGURES_KEPT. */
    double samples[FIGURES_KEPT][FIGURE_COUNT];
    int64_t last;       /* number of the newest sample, from 1 */
    int64_t last_at_us; /* Unix */
};

/* ---- reading the metrics ------------------------------------------------------------------- */

static void figures_add_value(const struct metric_cell *cell, void *sum) {
    *(double *)sum += metric_value(cell);
}

static void figures_take_larger(const struct metric_cell *cell, void *most) {
    *(double *)most = fmax(*(double *)most, metric_value(cell));
}

static double figures_sum(const char *name) {
    double sum = 0;
    metrics_visit(name, figures_add_value, &sum);
    return sum;
}

/* Requests for what the service is for: not those of probes, scrapes and operators. */
static bool figures_is_route(const struct metric_cell *cell) {
    static const char label[] = "endpoint=\"";
    const char *name = strstr(metric_labels(cell), label);
    if (!name) {
        return true;
    }
    name += sizeof label - 1;
    return !endpoint_is_own((struct slice){name, strcspn(name, "\"")});
}

static void figures_add_answers(const struct metric_cell *cell, void *context) {
    struct totals *totals = context;
    if (figures_is_route(cell)) {
        totals->requests += metric_value(cell);
        metric_add_buckets(cell, totals->answers);
    }
}

/* Of errors those that are no client's: the statuses of 500 and above. */
static void figures_add_error(const struct metric_cell *cell, void *context) {
    const char *labels = metric_labels(cell);
    if (figures_is_route(cell) && (strstr(labels, "error_type=\"internal\"") ||
                                   strstr(labels, "error_type=\"unavailable\""))) {
        ((struct totals *)context)->errors += metric_value(cell);
    }
}

static void figures_add_commits(const struct metric_cell *cell, void *context) {
    metric_add_buckets(cell, ((struct totals *)context)->commits);
}

static void figures_read_totals(struct totals *totals) {
    static const char *const committed[] = {
        "ras_messages_processed_total", "ras_rejected_messages_total", "ras_ignored_messages_total",
        "ras_duplicate_messages_total"};
    *totals = (struct totals){
        .rejected = figures_sum("ras_rejected_messages_total"),
        .hits = figures_sum("ras_cache_hits_total"),
        .misses = figures_sum("ras_cache_misses_total"),
    };
    for (size_t i = 0; i < sizeof committed / sizeof *committed; i++) {
        totals->events += figures_sum(committed[i]);
    }
    metrics_visit("ras_api_request_duration_seconds", figures_add_answers, totals);
    metrics_visit("ras_api_errors_total", figures_add_error, totals);
    metrics_visit("ras_db_transaction_duration_seconds", figures_add_commits, totals);
}

/* ---- one sample ---------------------------------------------------------------------------- */

/* The time that `share` of the observations between two readings did not exceed, interpolated as by
 * Prometheus' histogram_quantile; NAN: there are none. */
static double figures_quantile(const uint64_t *before, const uint64_t *now, double share) {
    uint64_t total = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        total += now[i] - before[i];
    }
    double rank = share * (double)total, seen = 0, from_s = 0;
    for (size_t i = 0; total > 0 && i < METRIC_BUCKETS; i++) {
        double count = (double)(now[i] - before[i]), to_s = metric_bound(i);
        if (count > 0 && seen + count >= rank) {
            return isinf(to_s) ? from_s : from_s + (to_s - from_s) * (rank - seen) / count;
        }
        seen += count;
        from_s = to_s;
    }
    return NAN;
}

static void figures_measure(struct figures *figures, double sample[FIGURE_COUNT]) {
    struct totals now, *before = &figures->before;
    int64_t now_us = clock_monotonic_us();
    double elapsed_s = fmax((double)(now_us - figures->before_us) / 1e6, 1e-3);
    double lag_age_s = 0;
    figures_read_totals(&now);
    metrics_visit("ras_consumer_lag_seconds", figures_take_larger, &lag_age_s);
    double asked = now.hits - before->hits + now.misses - before->misses;
    sample[FIGURE_EVENTS] = (now.events - before->events) / elapsed_s;
    sample[FIGURE_REJECTED] = (now.rejected - before->rejected) / elapsed_s;
    sample[FIGURE_LAG] = figures_sum("ras_consumer_lag_messages");
    sample[FIGURE_LAG_AGE] = lag_age_s;
    sample[FIGURE_REQUESTS] = (now.requests - before->requests) / elapsed_s;
    sample[FIGURE_ERRORS] = (now.errors - before->errors) / elapsed_s;
    sample[FIGURE_MEDIAN] = figures_quantile(before->answers, now.answers, .5);
    sample[FIGURE_TAIL] = figures_quantile(before->answers, now.answers, .99);
    sample[FIGURE_CACHE] = asked > 0 ? 100 * (now.hits - before->hits) / asked : NAN;
    sample[FIGURE_COMMIT] = figures_quantile(before->commits, now.commits, .99);
    sample[FIGURE_OUTBOX] = figures_sum("ras_outbox_depth");
    figures->before = now;
    figures->before_us = now_us;
}

static void *figures_main(void *context) {
    struct figures *figures = context;
    struct thread *thread = &figures->thread;
    int64_t due_us = clock_monotonic_us();
    thread_lock(thread);
    while (!thread->stopping) {
        due_us += FIGURES_INTERVAL_S * 1000000LL;
        while (thread_sleep(thread, due_us)) {
        }
        if (!thread->stopping) {
            double sample[FIGURE_COUNT];
            thread_unlock(thread);
            figures_measure(figures, sample);
            thread_lock(thread);
            figures->last++;
            figures->last_at_us = clock_wall_us();
            memcpy(figures->samples[figures->last % FIGURES_KEPT], sample, sizeof sample);
        }
    }
    thread_unlock(thread);
    return NULL;
}

struct figures *figures_start(struct err *err) {
    struct figures *figures = xcalloc(1, sizeof *figures);
    thread_init(&figures->thread);
    figures_read_totals(&figures->before);
    figures->before_us = clock_monotonic_us();
    if (!thread_start(&figures->thread, figures_main, figures, "figures", err)) {
        figures_stop(figures);
        return NULL;
    }
    return figures;
}

void figures_stop(struct figures *figures) {
    if (figures) {
        thread_stop(&figures->thread);
        thread_free(&figures->thread);
        free(figures);
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void figures_put_value(const struct figures *figures, int64_t number, size_t figure,
                              struct buffer *json) {
    double value = figures->samples[number % FIGURES_KEPT][figure];
    if (isfinite(value)) {
        buffer_append_format(json, "%.4g", value);
    } else {
        buffer_append_text(json, "null");
    }
}

static void figures_put_series(const struct figures *figures, size_t figure, int64_t first,
                               struct buffer *json) {
    json_open(json, figures_names[figure], "[");
    for (int64_t n = first; n <= figures->last; n++) {
        json_put_name(json, NULL);
        figures_put_value(figures, n, figure, json);
    }
    buffer_append_text(json, "]");
}

void figures_append(struct figures *figures, int64_t after, struct buffer *json) {
    thread_lock(&figures->thread);
    int64_t oldest = figures->last > FIGURES_KEPT ? figures->last - FIGURES_KEPT + 1 : 1;
    int64_t first = after + 1 > oldest && after <= figures->last ? after + 1 : oldest;
    buffer_append_text(json, "{");
    json_put_int(json, "interval_s", FIGURES_INTERVAL_S);
    json_put_int(json, "first", first);
    json_put_int(json, "last", figures->last);
    json_put_time(json, "at", figures->last_at_us);
    json_open(json, "series", "{");
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        figures_put_series(figures, i, first, json);
    }
    buffer_append_text(json, "}}");
    thread_unlock(&figures->thread);
}

void figures_append_newest(struct figures *figures, struct buffer *json) {
    thread_lock(&figures->thread);
    if (figures->last == 0) {
        buffer_append_text(json, "null");
    } else {
        buffer_append_text(json, "{");
        json_put_time(json, "at", figures->last_at_us);
        json_put_int(json, "interval_s", FIGURES_INTERVAL_S);
        for (size_t i = 0; i < FIGURE_COUNT; i++) {
            json_put_name(json, figures_names[i]);
            figures_put_value(figures, figures->last, i, json);
        }
        buffer_append_text(json, "}");
    }
    thread_unlock(&figures->thread);
}

#include "error_log.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/request_steps.h"
#include "endpoint.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the limits of all endpoints */
static _Atomic int64_t due_us = INT64_MAX;

int64_t error_log_due_us(void) {
    return atomic_load_explicit(&due_us, memory_order_relaxed);
}

static void error_log_report_left_out(const struct endpoint *endpoint, size_t type, size_t count) {
    log_warning("request errors left out of the log", LOG_TEXT("endpoint", endpoint->name),
                LOG_TEXT("error_type", endpoint_error_name(type)),
                LOG_INT("count", (int64_t)count));
}

static void error_log_note_due(int64_t at_us) {
    if (at_us < error_log_due_us()) {
        atomic_store_explicit(&due_us, at_us, memory_order_relaxed);
    }
}

/* Whether the line may be written; *left_out: lines left out before it. mistake: of the script;
 * absent: none. */
static bool error_log_admits(struct log_limit *limit, struct slice mistake, size_t *left_out) {
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&lock);
    *left_out = log_limit_take(limit, now_us);
    bool admitted = log_limit_admits_mistake(limit, now_us, mistake);
    if (!admitted) {
        error_log_note_due(limit->window_end_us);
    }
    pthread_mutex_unlock(&lock);
    return admitted;
}

/* False: the line is one of too many. Reports how many were left out before it. */
static bool error_log_begin(struct endpoint *endpoint, size_t type, struct slice mistake) {
    size_t left_out;
    bool admitted = error_log_admits(&endpoint->limits[type], mistake, &left_out);
    if (left_out > 0) {
        error_log_report_left_out(endpoint, type, left_out);
    }
    return admitted;
}

/* The loop's own responses have no steps. */
static int64_t error_log_step_ms(const struct exchange *exchange, enum request_step step) {
    return exchange->plan.carry_out ? request_steps_us(step) / 1000 : 0;
}

void error_log_write_slow(const struct exchange *exchange, int64_t took_us) {
    if (error_log_begin(exchange->endpoint, ENDPOINT_SLOW, (struct slice){0})) {
        log_warning("request is slow", LOG_TEXT("endpoint", exchange->endpoint->name),
                    LOG_SLICE("method", exchange->request.method_name),
                    LOG_INT("status", exchange->response.status),
                    LOG_INT("took_ms", took_us / 1000),
                    LOG_INT("queued_ms", error_log_step_ms(exchange, REQUEST_QUEUED)),
                    LOG_INT("cache_ms", error_log_step_ms(exchange, REQUEST_CACHE)),
                    LOG_INT("state_ms", error_log_step_ms(exchange, REQUEST_STATE)),
                    LOG_INT("database_ms", error_log_step_ms(exchange, REQUEST_DATABASE)));
    }
}

void error_log_write_broken_stream(struct endpoint *endpoint, const struct broken_stream *stream) {
    size_t type = endpoint_error_type(stream->failed ? 500 : 503);
    if (error_log_begin(endpoint, type, slice_of(stream->failed ? stream->why : NULL))) {
        LOG_AT(stream->failed ? LOG_ERROR : LOG_WARNING, "streamed response ended early",
               LOG_TEXT("endpoint", endpoint->name), LOG_SLICE("method", stream->method),
               LOG_TEXT("reason", stream->reason), LOG_INT("bytes", (int64_t)stream->bytes),
               LOG_TEXT("error", stream->why));
    }
}

void error_log_write(const struct exchange *exchange) {
    const struct endpoint *endpoint = exchange->endpoint;
    int status = exchange->response.status;
    enum unavailable unavailable = exchange->response.unavailable;
    if (status < 400 || status == 404) {
        return;
    }
    struct slice mistake = slice_of(status == 500 ? exchange->why : NULL);
    if (!error_log_begin(exchange->endpoint, endpoint_error_type(status), mistake)) {
        return;
    }
    enum log_level level = status < 500 ? LOG_INFO : status == 503 ? LOG_WARNING : LOG_ERROR;
    LOG_AT(level, status < 500 ? "request refused" : "request failed",
           LOG_TEXT("endpoint", endpoint->name), LOG_SLICE("method", exchange->request.method_name),
           LOG_INT("status", status), LOG_TEXT("reason", exchange->response.message),
           LOG_TEXT("unavailable",
                    unavailable == UNAVAILABLE_NOT ? NULL : unavailable_name(unavailable)),
           LOG_TEXT("client_certificate", exchange->client), LOG_TEXT("error", exchange->why));
}

static void error_log_flush_endpoint(struct endpoint *endpoint, void *context) {
    int64_t now_us = *(const int64_t *)context;
    for (size_t type = 0; type <= ENDPOINT_SLOW; type++) {
        struct log_limit *limit = &endpoint->limits[type];
        pthread_mutex_lock(&lock);
        size_t left_out = log_limit_take(limit, now_us);
        if (limit->left_out > 0) {
            error_log_note_due(limit->window_end_us);
        }
        pthread_mutex_unlock(&lock);
        if (left_out > 0) {
            error_log_report_left_out(endpoint, type, left_out);
        }
    }
}

void error_log_flush(int64_t now_us) {
    if (now_us < error_log_due_us()) {
        return;
    }
    pthread_mutex_lock(&lock);
    atomic_store_explicit(&due_us, INT64_MAX, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    endpoint_visit(error_log_flush_endpoint, &now_us);
}

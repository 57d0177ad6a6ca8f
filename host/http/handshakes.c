#include "handshakes.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/metrics.h"
#include "base/xalloc.h"

struct handshakes {
    char *listener;
    pthread_mutex_t lock; /* guards the limits */
    struct log_limit limits[HANDSHAKE_REASONS];
};

struct handshakes *handshakes_create(const char *listener) {
    struct handshakes *handshakes = xcalloc(1, sizeof *handshakes);
    handshakes->listener = xstrdup(listener);
    pthread_mutex_init(&handshakes->lock, NULL);
    return handshakes;
}

void handshakes_destroy(struct handshakes *handshakes) {
    if (handshakes) {
        pthread_mutex_destroy(&handshakes->lock);
        free(handshakes->listener);
        free(handshakes);
    }
}

void handshakes_count_done(struct handshakes *handshakes, const struct tls_session *session) {
    struct metric *done = metric_family(METRIC_COUNTER, "ras_tls_handshakes_total",
                                        "TLS handshakes that succeeded.", "listener,version");
    metric_add(metric_cell(done, handshakes->listener, tls_session_version(session)), 1);
}

static const char *handshakes_reason(int reason) {
    return reason == HANDSHAKE_TIMEOUT    ? "timeout"
           : reason == HANDSHAKE_TOO_MANY ? "too_many"
                                          : tls_failure_name((enum tls_failure)reason);
}

/* "192.0.2.7:51234"; "": unknown. */
static void handshakes_format_address(const struct sockaddr_storage *address, char text[80]) {
    char host[64], port[8];
    bool known = getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host,
                             port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0;
    snprintf(text, 80, "%s%s%s", known ? host : "", known ? ":" : "", known ? port : "");
}

void handshakes_count_failed(struct handshakes *handshakes, int reason, const char *error,
                             const struct sockaddr_storage *client) {
    const char *name = handshakes_reason(reason);
    struct metric *failed =
        metric_family(METRIC_COUNTER, "ras_tls_handshake_failures_total",
                      "TLS handshakes that failed, by reason.", "listener,reason");
    metric_add(metric_cell(failed, handshakes->listener, name), 1);
    /* A balancer that checks the port by connecting is no news. */
    enum log_level level = reason == TLS_FAILURE_LOST     ? LOG_DEBUG
                           : reason == HANDSHAKE_TOO_MANY ? LOG_WARNING
                                                          : LOG_INFO;
    struct log_limit *limit = &handshakes->limits[reason];
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&handshakes->lock);
    size_t left_out = log_limit_take(limit, now_us);
    bool admitted = log_enabled(level) && log_limit_admits(limit, now_us);
    pthread_mutex_unlock(&handshakes->lock);
    if (admitted) {
        char address[80];
        handshakes_format_address(client, address);
        LOG_AT(level, "TLS handshake failed", LOG_TEXT("listener", handshakes->listener),
               LOG_TEXT("reason", name), LOG_TEXT("client", address), LOG_TEXT("error", error),
               LOG_INT("left_out_before", (int64_t)left_out));
    }
}

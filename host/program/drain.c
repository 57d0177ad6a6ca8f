/* drain: the end of requests and ingestion, at a stop and after a handover. */
#include <poll.h>

#include "base/clock.h"
#include "ingest/ingest.h"
#include "outbox/relay.h"
#include "program_private.h"
#include "script/watchdog.h"

/* On top of http.request_timeout_ms, after which no client waits for a response. */
#define RESPONSE_MARGIN_MS 5000
#define AWAIT_INTERVAL_US 200000
/* For the transaction under way and the leaving of the group, which a static member begins last. */
#define END_INGESTION_MS 30000

/* A balancer notices that the process is not ready before connections are refused. */
static void drain_leave_balancer(struct program *program) {
    if (program->http && !program->is_successor && !program->handed_over) {
        health_set_phase(program->health, HEALTH_STOPS);
        poll(NULL, 0, program->config->http.drain_delay_ms);
    }
}

static int drain_response_limit_ms(const struct config *config) {
    return config->http.request_timeout_ms + RESPONSE_MARGIN_MS;
}

int program_stop_limit_s(const struct config *config) {
    int limit_ms = config->http.drain_delay_ms + config->http.drain_timeout_ms +
                   drain_response_limit_ms(config) + END_INGESTION_MS;
    return (limit_ms + 999) / 1000;
}

static bool drain_has_stuck_script(void) {
    struct buffer stuck = {0};
    bool none = watchdog_report(&stuck);
    buffer_free(&stuck);
    return !none;
}

/* False: connections are left at the deadline, or a script is stuck for longer than a response may
 * take. */
static bool drain_await_requests(struct program *program, int64_t deadline_us) {
    int64_t stuck_us = clock_monotonic_us() + drain_response_limit_ms(program->config) * 1000LL;
    int64_t now_us;
    do {
        now_us = clock_monotonic_us();
        int64_t next_us = now_us + AWAIT_INTERVAL_US;
        if (http_server_await_end(program->http, next_us < deadline_us ? next_us : deadline_us)) {
            return true;
        }
    } while (now_us < deadline_us && (now_us < stuck_us || !drain_has_stuck_script()));
    return false;
}

static void drain_end_ingestion(struct program *program) {
    if (program->ingest) {
        ingest_end(program->ingest);
    }
}

/* Partitions of a dynamic member move to others as soon as it has left. Those of a static one wait
 * until the process is back, so that it ingests for as long as requests end; after a handover it
 * has left before. */
static bool drain_end_work(struct program *program, int64_t deadline_us) {
    bool waits = config_kafka_instance(program->config) && !program->handed_over;
    if (!waits) {
        drain_end_ingestion(program);
    }
    bool ended = drain_await_requests(program, deadline_us);
    if (waits) {
        drain_end_ingestion(program);
    }
    return ended;
}

bool drain_run(struct program *program) {
    drain_leave_balancer(program);
    int64_t limit_us = program->config->http.drain_timeout_ms * 1000LL;
    struct http_end end = {program->is_successor /* then its predecessor accepts */,
                           clock_monotonic_us() + limit_us};
    int64_t deadline_us = end.until_us + drain_response_limit_ms(program->config) * 1000LL;
    http_server_drain(program->http, &end);
    http_server_drain(program->admin_http, &end);
    if (program->relay && program->handed_over) {
        outbox_relay_end(program->relay); /* the other process waits for its lease */
    }
    return drain_end_work(program, deadline_us) &&
           admin_socket_stop(program->admin_socket, deadline_us) &&
           http_server_stop(program->admin_http, deadline_us) &&
           http_server_stop(program->http, deadline_us);
}

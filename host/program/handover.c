/* handover: gives clients and partitions to the process that replaces this one, or takes them from
 * the one before. */
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "bindings/service_manager.h"
#include "ingest/ingest.h"
#include "outbox/relay.h"
#include "program_private.h"
#include "reaction/reactor.h"
#include "retention/retention.h"
#include "takeover.h"
#include "upgrade/predecessor.h"

#define LEAVE_TIMEOUT_MS 10000
#define JOIN_TIMEOUT_MS 10000
#define MAIN_TIMEOUT_MS 10000
#define STOP_INTERVAL_MS 100 /* a stop ends a wait within it */

int handover_inherited(const char *name) {
    int fd = service_manager_take_socket(name);
    return fd > 0 ? fd : 0;
}

/* ---- to another process -------------------------------------------------------------------- */

static size_t handover_list_sockets(void *context, struct successor_socket *sockets) {
    const struct program *program = context;
    size_t count = 0;
    sockets[count++] = (struct successor_socket){SOCKET_HTTP, http_server_listener(program->http)};
    if (program->admin_http) {
        sockets[count++] =
            (struct successor_socket){SOCKET_ADMIN, http_server_listener(program->admin_http)};
    }
    if (program->admin_socket) {
        bool owns_path;
        int fd = admin_socket_listener(program->admin_socket, &owns_path);
        sockets[count++] =
            (struct successor_socket){owns_path ? SOCKET_OWN_COMMANDS : SOCKET_COMMANDS, fd};
    }
    return count;
}

static bool handover_consumes(void *context) {
    const struct program *program = context;
    struct buffer ignored = {0};
    bool moves = ingest_report(program->ingest, &ignored) == INGEST_MOVES;
    buffer_free(&ignored);
    return moves;
}

/* Two members with one group.instance.id end each other's membership. Other members stay until the
 * new one has joined: an empty group would wait for more members. */
static void handover_prepare(void *context) {
    struct program *program = context;
    if (config_kafka_instance(program->config)) {
        (void)ingest_leave(program->ingest, LEAVE_TIMEOUT_MS);
    }
}

static void handover_undo(void *context) {
    struct program *program = context;
    ingest_join(program->ingest);
}

static void handover_give(void *context) {
    struct program *program = context;
    int64_t limit_us = program->config->http.drain_timeout_ms * 1000LL;
    struct http_end end = {true, clock_monotonic_us() + limit_us};
    program->handed_over = true;
    health_set_phase(program->health, HEALTH_READS_ONLY);
    admin_socket_close(program->admin_socket, true);
    http_server_drain(program->http, &end);
    http_server_drain(program->admin_http, &end);
}

void handover_start(struct program *program) {
    struct upgrade_options options = {
        .argv = program->argv,
        .timeout_ms = program->config->service.upgrade_timeout_ms,
        .stop_fd = stop_fd(),
        .sockets = handover_list_sockets,
        .consumes = handover_consumes,
        .before = handover_prepare,
        .undo = handover_undo,
        .handed_over = handover_give,
        .context = program,
    };
    program->upgrade = upgrade_create(&options);
}

/* ---- from another process ------------------------------------------------------------------ */

/* Until the predecessor is told, it goes on if this process ends: what both share is left to it. */
static bool handover_is_stopped(struct program *program) {
    if (!stop_requested()) {
        return false;
    }
    program->is_successor = true;
    admin_socket_close(program->admin_socket, true);
    return true;
}

static void handover_await_partitions(const struct program *program) {
    int64_t deadline_us = clock_monotonic_us() + JOIN_TIMEOUT_MS * 1000LL;
    while (!stop_requested() && clock_remaining_ms(deadline_us) > 0 &&
           !ingest_await_joined(program->ingest, STOP_INTERVAL_MS)) {
    }
}

/* What acts on the world. */
static void handover_release(struct program *program) {
    outbox_relay_release(program->relay);
    reactor_release(program->reactor);
    retention_release(program->retention);
}

bool handover_take(struct program *program, struct err *err) {
    if (!program->is_successor) {
        administration_let_clients_in(program);
        /* Only now: a service manager starts a process that cannot start again and again, and each
         * member that joins the group stops the ingestion of the others. */
        ingest_join(program->ingest);
        handover_release(program);
        return true;
    }
    health_set_phase(program->health, HEALTH_READS_ONLY);
    if (takeover_await(program->config, program->generation, program->health, err) != TAKEOVER_GO) {
        return false;
    }
    log_info("this process takes clients and partitions");
    program->is_successor = false;
    health_set_phase(program->health, HEALTH_SERVES);
    administration_let_clients_in(program);
    ingest_join(program->ingest);
    handover_await_partitions(program);
    if (handover_is_stopped(program)) {
        return false;
    }
    (void)predecessor_tell(CHANNEL_TOOK, "");
    handover_release(program); /* until now the predecessor might have gone on alone */
    (void)predecessor_await(stop_fd(), MAIN_TIMEOUT_MS); /* for the service manager alone */
    predecessor_leave();
    return true;
}

#include "program.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_site.h"
#include "admin/socket.h"
#include "admin/verbs.h"
#include "console/console_site.h"
#include "bindings/pg_spare.h"
#include "bindings/service_manager.h"
#include "cache/cache.h"
#include "monitor/health.h"
#include "monitor/liveness.h"
#include "http/api_site.h"
#include "http/certificates.h"
#include "http/http_server.h"
#include "pipeline/announcement_audit.h"
#include "ingest/ingest.h"
#include "monitor/metrics_page.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "outbox/relay.h"
#include "reaction/reactor.h"
#include "reload/reload.h"
#include "script/script.h"
#include "script/watchdog.h"
#include "takeover.h"
#include "upgrade/predecessor.h"
#include "upgrade/upgrade.h"
#include "base/xalloc.h"

/* The admin listener has few clients, which may wait long. */
#define ADMIN_THREADS 8
#define ADMIN_CONNECTIONS 64
#define EXPLAIN_TIMEOUT_MS 120000
#define RETRY_TIMEOUT_MS 600000
/* On top of http.request_timeout_ms, after which no client waits for a response. */
#define RESPONSE_MARGIN_MS 5000
#define AWAIT_INTERVAL_US 200000

/* Of an upgrade. */
#define LEAVE_TIMEOUT_MS 10000
#define JOIN_TIMEOUT_MS 10000
#define MAIN_TIMEOUT_MS 10000

/* Names of the sockets that a service manager or a predecessor hands over (FileDescriptorName=). */
#define SOCKET_HTTP "http"
#define SOCKET_ADMIN "admin"
#define SOCKET_COMMANDS "admin-socket"
#define SOCKET_OWN_COMMANDS "admin-socket.own" /* its path is removed at the end */

struct program {
    const struct config *config;
    const char *config_path;
    char *const *argv;
    bool is_successor; /* and has not taken over yet */
    _Atomic bool handed_over;
    struct watchdog *watchdog;
    struct script_generation *generation;
    struct cache *cache;
    struct outbox_relay *relay; /* NULL: another process publishes */
    struct reactor *reactor;
    struct audit *audit; /* NULL: without Redis, or without caches */
    struct ingest *ingest;
    struct health *health;
    struct figures *figures;
    struct api *api;
    struct certificates *certificates; /* of the API's listener */
    struct http_server *http;
    struct heartbeat *heartbeat;
    struct reload *reload;
    struct upgrade *upgrade;
    struct admin_context admin;
    struct admin_site *admin_site;           /* NULL: admin.keys is empty */
    struct console_site *console_site;       /* likewise */
    struct certificates *admin_certificates; /* NULL: admin.keys is empty, as the next */
    struct http_server *admin_http;
    struct admin_socket *admin_socket; /* NULL: it could not be opened */
    struct liveness *liveness;         /* NULL: no service manager asks for it */
};

static bool program_start_cache(struct program *program, struct err *err) {
    const struct config *config = program->config;
    struct cache_options options = {
        .redis_url = config->redis.url,
        .redis_timeout_ms = config->redis.timeout_ms,
        .ttl_s = config->cache.ttl_s,
        .max_bytes = (size_t)config->cache.process_max_bytes,
        .enabled = config->cache.enabled != 0,
    };
    program->cache = cache_create(&options, err);
    return program->cache && cache_start(program->cache, err);
}

static bool program_start_relay(struct program *program, struct err *err) {
    if (program->config->outbox.enabled) {
        program->relay = outbox_relay_start(program->config, err);
    }
    return program->relay || !program->config->outbox.enabled;
}

static void program_wake_relay(void *context) {
    outbox_wake(context);
}

static bool program_start_reactor(struct program *program, struct err *err) {
    struct reactor_options options = {
        .generation = program->generation,
        .stored = program_wake_relay,
        .context = program->relay,
    };
    program->reactor = reactor_start(&options, err);
    return program->reactor != NULL;
}

static void program_wake_reactor(void *context) {
    reactor_wake(context);
}

static bool program_start_audit(struct program *program, struct err *err) {
    program->audit = audit_start(program->config, program->cache, err);
    return program->audit || err->kind == ERR_NONE;
}

static bool program_start_ingest(struct program *program, struct err *err) {
    struct ingest_options options = {
        .config = program->config,
        .generation = program->generation,
        .cache = program->cache,
        .relay = program->relay,
        .marked = program_wake_reactor,
        .context = program->reactor,
        .held = program->is_successor,
    };
    program->ingest = ingest_start(&options, err);
    return program->ingest != NULL;
}

static enum ingest_state program_consuming(void *context, struct buffer *json) {
    return ingest_report(context, json);
}

static bool program_start_health(struct program *program, struct err *err) {
    struct health_options options = {
        .config = program->config,
        .consuming = program_consuming,
        .context = program->ingest,
    };
    program->health = health_start(&options, err);
    return program->health != NULL;
}

static struct builtin_sources program_builtin_sources(const struct program *program) {
    return (struct builtin_sources){program->health, health_is_fresh, health_report,
                                    metrics_page_append};
}

static struct http_headers program_headers(const struct config *config) {
    return (struct http_headers){config->http.api_key_header, config->http.caller_header,
                                 config->http.correlation_id_header};
}

static bool program_start_certificates(struct program *program, struct err *err) {
    struct certificates_of http = certificates_of_http(program->config);
    struct certificates_of admin = certificates_of_admin(program->config);
    program->certificates = certificates_create(&http, err);
    if (program->certificates && program->config->admin.keys.count > 0) {
        program->admin_certificates = certificates_create(&admin, err);
        return program->admin_certificates != NULL;
    }
    return program->certificates != NULL;
}

/* 0: none. */
static int program_inherited(const char *name) {
    int fd = service_manager_take_socket(name);
    return fd > 0 ? fd : 0;
}

static bool program_start_http(struct program *program, struct err *err) {
    const struct config *config = program->config;
    struct builtin_sources sources = program_builtin_sources(program);
    struct api_scripts *scripts = api_scripts_create(program->generation, &sources, err);
    if (!scripts) {
        return false;
    }
    program->api = api_create(program->cache, scripts, err);
    if (!program->api) {
        return false;
    }
    struct http_options options = {
        .settings = "http",
        .host = config->http.host,
        .port = config->http.port,
        .listener = program_inherited(SOCKET_HTTP),
        .held = program->is_successor,
        .loops = config->http.loops,
        .threads = config->http.threads,
        .max_connections = config->http.max_connections,
        .request_timeout_ms = config->http.request_timeout_ms,
        .keep_alive_timeout_ms = config->http.keep_alive_timeout_ms,
        .handshake_timeout_ms = config->http.handshake_timeout_ms,
        .max_handshakes = config->http.max_handshakes,
        .certificates = program->certificates,
        .site = api_site(program->api),
        .headers = program_headers(config),
    };
    program->http = http_server_start(&options, err);
    return program->http != NULL;
}

static void program_start_reload(struct program *program) {
    struct reload_options options = {
        .config_path = program->config_path,
        .generation = program->generation,
        .sources = program_builtin_sources(program),
        .heartbeat = program->heartbeat,
        .ingest = program->ingest,
        .reactor = program->reactor,
        .api = program->api,
        .certificates = program->certificates,
        .admin_certificates = program->admin_certificates,
        .stop_fd = stop_fd(),
    };
    program->reload = reload_create(&options);
}

/* ---- upgrade ------------------------------------------------------------------------------- */

static size_t program_list_sockets(void *context, struct successor_socket *sockets) {
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

/* Two members with one group.instance.id end each other's membership. Other members stay until the
 * new one has joined: an empty group would wait for more members. */
static void program_before_handover(void *context) {
    struct program *program = context;
    if (config_kafka_instance(program->config)) {
        (void)ingest_leave(program->ingest, LEAVE_TIMEOUT_MS);
    }
}

static void program_undo_handover(void *context) {
    struct program *program = context;
    ingest_join(program->ingest);
}

static void program_hand_over(void *context) {
    struct program *program = context;
    int64_t limit_us = program->config->http.drain_timeout_ms * 1000LL;
    struct http_end end = {true, clock_monotonic_us() + limit_us};
    program->handed_over = true;
    health_set_phase(program->health, HEALTH_READS_ONLY);
    admin_socket_close(program->admin_socket, true);
    http_server_drain(program->http, &end);
    http_server_drain(program->admin_http, &end);
}

static void program_start_upgrade(struct program *program) {
    struct upgrade_options options = {
        .argv = program->argv,
        .timeout_ms = program->config->service.upgrade_timeout_ms,
        .stop_fd = stop_fd(),
        .sockets = program_list_sockets,
        .before = program_before_handover,
        .undo = program_undo_handover,
        .handed_over = program_hand_over,
        .context = program,
    };
    program->upgrade = upgrade_create(&options);
}

/* ---- administration ------------------------------------------------------------------------ */

static bool program_start_admin_http(struct program *program, struct err *err) {
    const struct config *config = program->config;
    size_t count;
    const struct admin_verb *verbs = admin_verbs(&count);
    if (config->admin.keys.count == 0) {
        return true;
    }
    program->admin_site = admin_site_create(config, verbs, count, &program->admin, err);
    if (!program->admin_site) {
        return false;
    }
    program->console_site = console_site_create(program->admin_site);
    struct http_options options = {
        .settings = "admin",
        .host = config->admin.host,
        .port = config->admin.port,
        .listener = program_inherited(SOCKET_ADMIN),
        .held = program->is_successor,
        .loops = 1,
        .threads = ADMIN_THREADS,
        .max_connections = ADMIN_CONNECTIONS,
        .request_timeout_ms = config->http.request_timeout_ms,
        .keep_alive_timeout_ms = config->http.keep_alive_timeout_ms,
        .handshake_timeout_ms = config->http.handshake_timeout_ms,
        .max_handshakes = ADMIN_CONNECTIONS,
        .certificates = program->admin_certificates,
        .site = console_site(program->console_site),
        .headers = program_headers(config),
    };
    program->admin_http = http_server_start(&options, err);
    return program->admin_http != NULL;
}

/* Commands are a convenience: the service also runs without their socket. */
static void program_start_admin_socket(struct program *program) {
    struct err err = {0};
    struct admin_socket_options options = {
        .path = program->config->admin.socket,
        .listener = program_inherited(SOCKET_OWN_COMMANDS),
        .context = &program->admin,
    };
    options.verbs = admin_verbs(&options.verb_count);
    options.owns_path = options.listener > 0;
    options.listener = options.owns_path ? options.listener : program_inherited(SOCKET_COMMANDS);
    program->admin_socket = admin_socket_start(&options, &err);
    if (!program->admin_socket) {
        log_warning(
            "admin socket cannot be opened: status, reload and resume do not reach this process",
            LOG_TEXT("error", err.text));
    }
}

static bool program_start_admin(struct program *program, struct err *err) {
    program->heartbeat = heartbeat_start(program->config, err);
    if (!program->heartbeat) {
        return false;
    }
    program->figures = figures_start(err);
    if (!program->figures) {
        return false;
    }
    program_start_reload(program);
    program_start_upgrade(program);
    program->admin = (struct admin_context){
        .config = program->config,
        .started_us = clock_wall_us(),
        .health = program->health,
        .figures = program->figures,
        .ingest = program->ingest,
        .relay = program->relay,
        .reactor = program->reactor,
        .api = program->api,
        .http = program->http,
        .certificates = program->certificates,
        .admin_certificates = program->admin_certificates,
        .heartbeat = program->heartbeat,
        .reload = program->reload,
        .upgrade = program->upgrade,
        .explain = {{"explain"},
                    program->config_path,
                    EXPLAIN_TIMEOUT_MS,
                    stop_fd(),
                    PTHREAD_MUTEX_INITIALIZER},
        .tap = admin_tap_create(program->config_path),
        .retry = {{"rejected", "retry"},
                  program->config_path,
                  RETRY_TIMEOUT_MS,
                  stop_fd(),
                  PTHREAD_MUTEX_INITIALIZER},
    };
    if (!program_start_admin_http(program, err)) {
        return false;
    }
    if (!program->is_successor) {
        program_start_admin_socket(program);
    }
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool program_start_watchdog(struct program *program, struct err *err) {
    program->watchdog = watchdog_start(err);
    return program->watchdog != NULL;
}

static bool program_load_scripts(struct program *program, struct err *err) {
    program->generation = script_generation_load_service(program->config, 1, err);
    return program->generation != NULL;
}

/* False with an empty err: a signal asked the process to stop. */
static bool program_take_over(struct program *program, struct err *err) {
    if (!program->is_successor) {
        return true;
    }
    health_set_phase(program->health, HEALTH_READS_ONLY);
    if (takeover_await(program->config, program->generation, program->health, err) != TAKEOVER_GO) {
        return false;
    }
    program->is_successor = false;
    health_set_phase(program->health, HEALTH_SERVES);
    program_start_admin_socket(program);
    http_server_accept(program->http);
    if (program->admin_http) {
        http_server_accept(program->admin_http);
    }
    ingest_join(program->ingest);
    (void)ingest_await_joined(program->ingest, JOIN_TIMEOUT_MS);
    (void)predecessor_tell(CHANNEL_TOOK, "");
    (void)predecessor_await(stop_fd(), MAIN_TIMEOUT_MS); /* for the service manager alone */
    predecessor_leave();
    return true;
}

static bool program_close_others(struct program *program, struct err *err) {
    (void)program;
    (void)err;
    service_manager_close_others();
    return true;
}

static bool program_start_liveness(struct program *program, struct err *err) {
    program->liveness = liveness_start(program->http, err);
    return program->liveness || err->kind == ERR_NONE;
}

/* In order. A signal stops the start between two steps. */
static bool (*const steps[])(struct program *program, struct err *err) = {
    program_start_watchdog,     program_load_scripts,   program_start_cache,  program_start_audit,
    program_start_relay,        program_start_reactor,  program_start_ingest, program_start_health,
    program_start_certificates, program_start_http,     program_start_admin,  program_take_over,
    program_close_others,       program_start_liveness,
};
#define STEP_COUNT (sizeof steps / sizeof *steps)

struct program *program_start(const struct program_options *options, struct err *err) {
    struct program *program = xcalloc(1, sizeof *program);
    program->config = options->config;
    program->config_path = options->config_path;
    program->argv = options->argv;
    program->is_successor = predecessor_exists();
    size_t done = 0;
    while (done < STEP_COUNT && !stop_requested() && steps[done](program, err)) {
        done++;
    }
    if (done == STEP_COUNT) {
        return program;
    }
    if (stop_requested()) {
        err_clear(err);
    }
    program_stop(program);
    return NULL;
}

/* A balancer notices that the process is not ready before connections are refused. */
static void program_leave_balancer(struct program *program) {
    if (program->http && !program->is_successor && !program->handed_over) {
        health_set_phase(program->health, HEALTH_STOPS);
        poll(NULL, 0, program->config->http.drain_delay_ms);
    }
}

static int64_t program_response_limit_us(const struct program *program) {
    return (program->config->http.request_timeout_ms + RESPONSE_MARGIN_MS) * 1000LL;
}

static bool program_has_stuck_script(void) {
    struct buffer stuck = {0};
    bool none = watchdog_report(&stuck);
    buffer_free(&stuck);
    return !none;
}

/* False: connections are left at the deadline, or a script is stuck for longer than a response may
 * take. */
static bool program_await_requests(struct program *program, int64_t deadline_us) {
    int64_t stuck_us = clock_monotonic_us() + program_response_limit_us(program);
    int64_t now_us;
    do {
        now_us = clock_monotonic_us();
        int64_t next_us = now_us + AWAIT_INTERVAL_US;
        if (http_server_await_end(program->http, next_us < deadline_us ? next_us : deadline_us)) {
            return true;
        }
    } while (now_us < deadline_us && (now_us < stuck_us || !program_has_stuck_script()));
    return false;
}

/* Ends requests and ingestion side by side: another process gets the partitions at once. False: a
 * request or command is not answered by the deadline. */
static bool program_drain(struct program *program) {
    int64_t limit_us = program->config->http.drain_timeout_ms * 1000LL;
    struct http_end end = {program->is_successor /* then its predecessor accepts */,
                           clock_monotonic_us() + limit_us};
    int64_t deadline_us = end.until_us + program_response_limit_us(program);
    http_server_drain(program->http, &end);
    http_server_drain(program->admin_http, &end);
    if (program->ingest) {
        ingest_end(program->ingest);
    }
    if (program->relay && program->handed_over) {
        outbox_relay_end(program->relay); /* the other process waits for its lease */
    }
    return program_await_requests(program, deadline_us) &&
           admin_socket_stop(program->admin_socket, deadline_us) &&
           http_server_stop(program->admin_http, deadline_us) &&
           http_server_stop(program->http, deadline_us);
}

bool program_stop(struct program *program) {
    stop_request();
    liveness_stop(program->liveness);
    if (!program->handed_over) {
        service_manager_tell_stopping("Finishes requests and leaves the consumer group");
    }
    program_leave_balancer(program);
    if (!program_drain(program)) {
        log_error("a script or command call is stuck: the process exits without waiting for it");
        return false;
    }
    admin_tap_destroy(program->admin.tap);
    console_site_destroy(program->console_site);
    admin_site_destroy(program->admin_site);
    upgrade_destroy(program->upgrade);
    reload_destroy(program->reload);
    heartbeat_stop(program->heartbeat);
    api_destroy(program->api);
    certificates_destroy(program->admin_certificates);
    certificates_destroy(program->certificates);
    figures_stop(program->figures);
    health_stop(program->health);
    ingest_stop(program->ingest);
    reactor_stop(program->reactor);
    outbox_relay_stop(program->relay);
    pg_close_spare();
    audit_stop(program->audit);
    cache_destroy(program->cache);
    script_generation_unref(program->generation);
    watchdog_stop(program->watchdog);
    free(program);
    return true;
}

void program_announce(const struct program *program) {
    char status[128];
    snprintf(status, sizeof status, "Serves port %d, runs scripts %s",
             http_server_port(program->http), script_generation_hash(program->generation));
    service_manager_tell_ready(status);
    log_info("running", LOG_INT("port", http_server_port(program->http)),
             LOG_INT("admin_port", program->admin_http ? http_server_port(program->admin_http) : 0),
             LOG_INT("workers", program->config->ingest.workers),
             LOG_TEXT("scripts", script_generation_hash(program->generation)));
}

int program_upgrade_fd(const struct program *program) {
    return upgrade_fd(program->upgrade);
}

void program_reload(struct program *program) {
    if (upgrade_is_under_way(program->upgrade)) {
        log_warning("the scripts were not reloaded, because an upgrade is under way");
        return;
    }
    struct buffer result = {0}; /* also logged */
    reload_from_disk(program->reload, &(struct reload_request){0}, &result);
    buffer_free(&result);
}

void program_reload_if_changed(struct program *program) {
    reload_if_changed(program->reload);
}

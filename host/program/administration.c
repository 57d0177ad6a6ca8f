/* administration: the parts for operators: reload, upgrade, verbs, their listener and socket. */
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "program_private.h"

/* The admin listener has few clients, which may wait long. */
#define ADMIN_THREADS 8
#define ADMIN_CONNECTIONS 64
#define EXPLAIN_TIMEOUT_MS 120000
#define RETRY_TIMEOUT_MS 600000

static void administration_start_reload(struct program *program) {
    struct reload_options options = {
        .config_path = program->config_path,
        .generation = program->generation,
        .sources = program_builtin_sources(program),
        .heartbeat = program->heartbeat,
        .ingest = program->ingest,
        .reactor = program->reactor,
        .retention = program->retention,
        .api = program->api,
        .certificates = program->certificates,
        .admin_certificates = program->admin_certificates,
        .stop_fd = stop_fd(),
    };
    program->reload = reload_create(&options);
}

static bool administration_start_http(struct program *program, struct err *err) {
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
        .address = program_admin_address(config),
        .listener = program->admin_listener,
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

static void administration_start_socket(struct program *program) {
    struct err err = {0};
    struct admin_socket_options options = {
        .path = program->config->admin.socket,
        .listener = handover_inherited(SOCKET_OWN_COMMANDS),
        .context = &program->admin,
    };
    options.verbs = admin_verbs(&options.verb_count);
    options.owns_path = options.listener > 0;
    options.listener = options.owns_path ? options.listener : handover_inherited(SOCKET_COMMANDS);
    program->admin_socket = admin_socket_start(&options, &err);
    if (!program->admin_socket) {
        log_warning(
            "admin socket cannot be opened: status, reload and resume do not reach this process",
            LOG_TEXT("error", err.text));
    }
}

void administration_let_clients_in(struct program *program) {
    administration_start_socket(program);
    http_server_accept(program->http);
    if (program->admin_http) {
        http_server_accept(program->admin_http);
    }
}

bool administration_start(struct program *program, struct err *err) {
    program->heartbeat = heartbeat_start(program->config, err);
    if (!program->heartbeat) {
        return false;
    }
    program->figures = figures_start(err);
    if (!program->figures) {
        return false;
    }
    administration_start_reload(program);
    handover_start(program);
    program->admin = (struct admin_context){
        .config = program->config,
        .started_us = clock_wall_us(),
        .up_since_us = clock_monotonic_us(),
        .health = program->health,
        .figures = program->figures,
        .ingest = program->ingest,
        .relay = program->relay,
        .reactor = program->reactor,
        .retention = program->retention,
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
    return administration_start_http(program, err);
}

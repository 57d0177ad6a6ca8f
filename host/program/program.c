#include "program_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "bindings/pg_reads.h"
#include "bindings/pg_spare.h"
#include "bindings/redis.h"
#include "bindings/service_manager.h"
#include "cache/cache.h"
#include "monitor/liveness.h"
#include "http/api_site.h"
#include "http/certificates.h"
#include "pipeline/announcement_audit.h"
#include "ingest/ingest.h"
#include "monitor/metrics_page.h"
#include "base/log.h"
#include "base/stop.h"
#include "outbox/relay.h"
#include "reaction/reactor.h"
#include "reload/reload.h"
#include "retention/retention.h"
#include "script/script.h"
#include "script/watchdog.h"
#include "upgrade/predecessor.h"
#include "base/xalloc.h"

static bool program_start_reads(struct program *program, struct err *err) {
    const struct config *config = program->config;
    struct pg_reads_options options = {
        .primary_url = config->postgres.url,
        .urls = config->postgres.read_urls.items,
        .count = config->http.routes ? config->postgres.read_urls.count : 0,
        .max_lag_ms = config->postgres.read_max_lag_ms,
        .wait_ms = config->postgres.read_wait_ms,
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
    };
    return pg_reads_start(&options, err);
}

/* A Redis that is not there is no reason to stop; one that never can be used is a mistake. */
static bool program_check_redis(struct program *program, struct err *err) {
    const struct config *config = program->config;
    return !config->redis.url[0] ||
           redis_check_server(config->redis.url, config->redis.timeout_ms, err) ||
           err_wrap(err, "redis.url");
}

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

/* A process that only answers needs no right to write: others react and publish. */
static bool program_only_answers(const struct program *program) {
    return program->config->ingest.workers == 0;
}

static bool program_start_relay(struct program *program, struct err *err) {
    if (!program->config->outbox.enabled || program_only_answers(program)) {
        return true;
    }
    program->relay = outbox_relay_start(program->config, err);
    return program->relay != NULL;
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
    if (program_only_answers(program)) {
        return true;
    }
    program->reactor = reactor_start(&options, err);
    return program->reactor != NULL;
}

static void program_wake_reactor(void *context, bool behind) {
    reactor_wake(context, behind);
}

static bool program_start_retention(struct program *program, struct err *err) {
    if (program_only_answers(program)) {
        return true;
    }
    program->retention = retention_start(program->generation, program->cache, err);
    return program->retention != NULL;
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

struct builtin_sources program_builtin_sources(const struct program *program) {
    return (struct builtin_sources){program->health, health_is_fresh, health_report,
                                    metrics_page_append};
}

struct http_headers program_headers(const struct config *config) {
    return (struct http_headers){config->http.api_key_header, config->http.caller_header,
                                 config->http.correlation_id_header};
}

static struct http_address program_http_address(const struct config *config) {
    return (struct http_address){"http", config->http.host, config->http.port};
}

struct http_address program_admin_address(const struct config *config) {
    return (struct http_address){"admin", config->admin.host, config->admin.port};
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
        .address = program_http_address(config),
        .listener = program->http_listener,
        .loops = config->http.loops,
        .threads = config->http.threads,
        .max_connections = config->http.max_connections,
        .live_heartbeat_ms = config->http.live_heartbeat_ms,
        .request_timeout_ms = config->http.request_timeout_ms,
        .request_bodies_max_mb = config->http.request_bodies_max_mb,
        .slow_request_ms = config->http.slow_request_ms,
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

static bool program_bind_one(const char *name, const struct http_address *address, int *listener,
                             struct err *err) {
    int inherited = handover_inherited(name);
    *listener = inherited > 0 ? inherited : http_server_bind(address, err);
    return *listener > 0;
}

/* Before connections are opened: the most frequent cause of a start that fails is a taken port. */
static bool program_bind(struct program *program, struct err *err) {
    const struct config *config = program->config;
    struct http_address http = program_http_address(config);
    struct http_address admin = program_admin_address(config);
    return program_bind_one(SOCKET_HTTP, &http, &program->http_listener, err) &&
           (config->admin.keys.count == 0 ||
            program_bind_one(SOCKET_ADMIN, &admin, &program->admin_listener, err));
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
    program_start_watchdog,     program_load_scripts,    program_bind,         program_check_redis,
    program_start_reads,        program_start_cache,     program_start_audit,  program_start_relay,
    program_start_reactor,      program_start_retention, program_start_ingest, program_start_health,
    program_start_certificates, program_start_http,      administration_start, handover_take,
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

bool program_stop(struct program *program) {
    stop_request();
    liveness_stop(program->liveness);
    if (!program->handed_over && !program->is_successor) {
        service_manager_tell_stopping("Finishes requests and leaves the consumer group");
    }
    if (!drain_run(program)) {
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
    retention_stop(program->retention);
    reactor_stop(program->reactor);
    outbox_relay_stop(program->relay);
    pg_close_spare();
    audit_stop(program->audit);
    cache_destroy(program->cache);
    pg_reads_stop();
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
             LOG_TEXT("configuration", program->config_path),
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

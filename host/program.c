#include "program.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin/site.h"
#include "admin/socket.h"
#include "admin/verbs.h"
#include "../bindings/pg_spare.h"
#include "cache/cache.h"
#include "health.h"
#include "http/api.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "base/log.h"
#include "reload/reload.h"
#include "script/script.h"
#include "script/watchdog.h"
#include "base/xalloc.h"

/* The administration's listener: few clients, who may wait long. */
#define ADMIN_THREADS 8
#define ADMIN_CONNECTIONS 64

struct program {
    const struct config *config;
    int stop_fd; /* readable once the program stops */
    struct watchdog *watchdog;
    struct script_generation *generation;
    struct cache *cache;
    struct ingest *ingest;
    struct health *health;
    struct api *api;
    struct http_server *http;
    struct presence *presence;
    struct reload *reload;
    struct admin_context admin;
    struct admin_site *admin_site;     /* NULL: no keys, nothing listens */
    struct http_server *admin_http;    /* NULL: as above */
    struct admin_socket *admin_socket; /* NULL: it could not be had */
};

static bool start_cache(struct program *program, struct err *err) {
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

static bool start_ingest(struct program *program, struct err *err) {
    program->ingest = ingest_start(program->config, program->generation, program->cache, err);
    return program->ingest != NULL;
}

static bool consuming(void *context, struct buffer *json) {
    return ingest_ready(context, json);
}

static bool start_health(struct program *program, struct err *err) {
    struct health_options options = {
        .config = program->config,
        .consuming = consuming,
        .context = program->ingest,
    };
    program->health = health_start(&options, err);
    return program->health != NULL;
}

static bool start_http(struct program *program, struct err *err) {
    const struct config *config = program->config;
    struct api_scripts *scripts = api_scripts_create(program->generation, program->health, err);
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
        .loops = config->http.loops,
        .threads = config->http.threads,
        .max_connections = config->http.max_connections,
        .request_timeout_ms = config->http.request_timeout_ms,
        .keep_alive_timeout_ms = config->http.keep_alive_timeout_ms,
        .site = api_site(program->api),
    };
    program->http = http_start(&options, err);
    return program->http != NULL;
}

static void start_reload(struct program *program, const char *config_path) {
    struct reload_options options = {
        .config_path = config_path,
        .generation = program->generation,
        .health = program->health,
        .presence = program->presence,
        .ingest = program->ingest,
        .api = program->api,
        .stop_fd = program->stop_fd,
    };
    program->reload = reload_create(&options);
}

/* ---- administration ------------------------------------------------------------------------ */

static bool start_admin_http(struct program *program, struct err *err) {
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
    struct http_options options = {
        .settings = "admin",
        .host = config->admin.host,
        .port = config->admin.port,
        .loops = 1,
        .threads = ADMIN_THREADS,
        .max_connections = ADMIN_CONNECTIONS,
        .request_timeout_ms = config->http.request_timeout_ms,
        .keep_alive_timeout_ms = config->http.keep_alive_timeout_ms,
        .site = admin_site(program->admin_site),
    };
    program->admin_http = http_start(&options, err);
    return program->admin_http != NULL;
}

/* Commands are a convenience: the service runs without them. */
static void start_admin_socket(struct program *program) {
    struct err err = {0};
    size_t count;
    const struct admin_verb *verbs = admin_verbs(&count);
    program->admin_socket =
        admin_socket_start(program->config->admin.socket, verbs, count, &program->admin, &err);
    if (!program->admin_socket) {
        log_warning("no admin socket: status and resume will not find this process",
                    LOG_TEXT("error", err.text));
    }
}

static bool start_admin(struct program *program, const char *config_path, struct err *err) {
    program->presence = presence_start(program->config, err);
    if (!program->presence) {
        return false;
    }
    start_reload(program, config_path);
    program->admin = (struct admin_context){
        .config = program->config,
        .health = program->health,
        .ingest = program->ingest,
        .http = program->http,
        .presence = program->presence,
        .reload = program->reload,
        .explain = {config_path, program->stop_fd, PTHREAD_MUTEX_INITIALIZER},
    };
    if (!start_admin_http(program, err)) {
        return false;
    }
    start_admin_socket(program);
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------- */

struct program *program_start(const struct config *config, const char *config_path,
                              struct err *err) {
    struct program *program = xcalloc(1, sizeof *program);
    program->config = config;
    program->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (program->stop_fd < 0) {
        err_set(err, ERR_INTERNAL, "cannot make an eventfd");
    } else {
        program->watchdog = watchdog_start(err);
    }
    if (program->watchdog) {
        program->generation = script_generation_load_service(config, 1, err);
    }
    if (program->generation && start_cache(program, err) && start_ingest(program, err) &&
        start_health(program, err) && start_http(program, err) &&
        start_admin(program, config_path, err)) {
        return program;
    }
    program_stop(program);
    return NULL;
}

void program_stop(struct program *program) {
    if (program->stop_fd >= 0) {
        eventfd_write(program->stop_fd, 1);
    }
    admin_socket_stop(program->admin_socket);
    http_stop(program->admin_http);
    admin_site_destroy(program->admin_site);
    reload_destroy(program->reload);
    presence_stop(program->presence);
    http_stop(program->http);
    api_destroy(program->api);
    health_stop(program->health);
    ingest_stop(program->ingest);
    pg_close_spare();
    cache_destroy(program->cache);
    script_generation_unref(program->generation);
    watchdog_stop(program->watchdog);
    if (program->stop_fd >= 0) {
        close(program->stop_fd);
    }
    free(program);
}

void program_log(const struct program *program) {
    log_info("running", LOG_INT("port", http_port(program->http)),
             LOG_INT("admin_port", program->admin_http ? http_port(program->admin_http) : 0),
             LOG_INT("workers", program->config->ingest.workers),
             LOG_TEXT("scripts", script_generation_hash(program->generation)));
}

void program_reload(struct program *program) {
    struct buffer answer = {0}; /* the log says the same */
    reload_from_disk(program->reload, NULL, &answer);
    buffer_free(&answer);
}

void program_reload_if_changed(struct program *program) {
    reload_if_changed(program->reload);
}

/* command_run: builds the parts in order, waits for a signal, takes them down in reverse. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin.h"
#include "cache/cache.h"
#include "command.h"
#include "health.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "log.h"
#include "metrics.h"
#include "script/script.h"

/* Longer than a transaction's deadline and the leaving of the group together. */
#define SHUTDOWN_LIMIT_S 45
#define HEALTH_TIMEOUT_MS 5000

struct service {
    struct script_generation *generation;
    struct cache *cache;
    struct script_pool *pool;
    struct ingest *ingest;
    struct health *health;
    struct http_server *http;
    struct admin *admin; /* NULL: its socket could not be had */
};

static bool consuming(void *context, struct buffer *json) {
    return ingest_ready(context, json);
}

static bool start_health(struct service *service, const struct config *config, struct err *err) {
    struct health_options options = {
        .config = config,
        .script_generation = script_generation_number(service->generation),
        .script_hash = script_generation_hash(service->generation),
        .consuming = consuming,
        .context = service->ingest,
    };
    service->health = health_start(&options, err);
    return service->health != NULL;
}

static void answer_status(void *context, struct buffer *json) {
    struct service *service = context;
    struct buffer health = {0};
    bool ready = health_report(service->health, HEALTH_READY, HEALTH_TIMEOUT_MS, &health);
    buffer_append_format(json, "{\"port\":%d,\"ready\":%s,\"health\":", http_port(service->http),
                         ready ? "true" : "false");
    buffer_append(json, health.data, health.len);
    buffer_append_text(json, "}");
    buffer_free(&health);
}

static void answer_resume(void *context, struct buffer *json) {
    struct service *service = context;
    buffer_append_format(json, "{\"resumed_workers\":%zu}", ingest_resume(service->ingest));
}

/* Commands are a convenience: the service runs without them. */
static void start_admin(struct service *service, const struct config *config) {
    static const struct admin_verb verbs[] = {{"status", answer_status}, {"resume", answer_resume}};
    struct err err = {0};
    service->admin = admin_start(config->admin.socket, verbs, 2, service, &err);
    if (!service->admin) {
        log_warning("no admin socket: status and resume will not find this process",
                    LOG_TEXT("error", err.text));
    }
}

static bool start_cache(struct service *service, const struct config *config, struct err *err) {
    struct cache_options options = {
        .redis_url = config->redis.url,
        .redis_timeout_ms = config->redis.timeout_ms,
        .ttl_s = config->cache.ttl_s,
        .max_bytes = (size_t)config->cache.process_max_bytes,
        .enabled = config->cache.enabled != 0,
    };
    service->cache = cache_create(&options, err);
    return service->cache && cache_start(service->cache, err);
}

static bool start(struct service *service, const struct config *config, struct err *err) {
    service->generation = script_generation_load(config, 1, err);
    if (!service->generation || !start_cache(service, config, err)) {
        return false;
    }
    service->pool = script_pool_create(service->generation, config, err);
    if (!service->pool) {
        return false;
    }
    metric_set(metric_single(METRIC_GAUGE, "ras_script_generation",
                             "Number of the script generation that runs."),
               (double)script_generation_number(service->generation));
    service->ingest = ingest_start(config, service->generation, service->cache, err);
    if (!service->ingest || !start_health(service, config, err)) {
        return false;
    }
    struct http_options options = {
        .config = config,
        .cache = service->cache,
        .pool = service->pool,
        .health = service->health,
    };
    service->http = http_start(&options, err);
    if (!service->http) {
        return false;
    }
    start_admin(service, config);
    return true;
}

static void stop(struct service *service) {
    admin_stop(service->admin);
    if (service->http) {
        http_stop(service->http);
    }
    health_stop(service->health);
    ingest_stop(service->ingest);
    script_pool_destroy(service->pool);
    cache_destroy(service->cache);
    script_generation_unref(service->generation);
}

/* Runs in signal context: only _exit and alarm are called. */
static void end_at_once(int number) {
    (void)number;
    static const char text[] = "aggregator: ended at once\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(written > 0 ? 130 : 131);
}

static void wait_for_signal(const sigset_t *signals) {
    int number = 0;
    while (sigwait(signals, &number) != 0) {
    }
    log_info("stopping", LOG_TEXT("signal", strsignal(number)));
    /* A second signal, or a shutdown that hangs in a library, ends the process: the log position
     * is safe in Postgres. */
    signal(SIGTERM, end_at_once);
    signal(SIGINT, end_at_once);
    signal(SIGALRM, end_at_once);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    alarm(SHUTDOWN_LIMIT_S);
}

int command_run(const struct command *command) {
    const struct config *config = command->config;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    /* Blocked before any thread starts, so that only sigwait takes them. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct service service = {0};
    struct err err = {0};
    if (!start(&service, config, &err)) {
        log_error("cannot start", LOG_TEXT("error", err.text));
        stop(&service);
        return 1;
    }
    log_info("running", LOG_INT("port", http_port(service.http)),
             LOG_INT("workers", config->ingest.workers),
             LOG_TEXT("scripts", script_generation_hash(service.generation)));
    wait_for_signal(&signals);
    stop(&service);
    log_info("stopped");
    return 0;
}

#include "health.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "dependencies.h"
#include "script/watchdog.h"

#define FRESH_US 1000000
#define UNREADY_FRESH_US 50000 /* so that a wait for readiness ends soon */
#define IDLE_CHECK_MS 5000     /* without questions */
#define STALE_US 10000000      /* older: the check hangs, and readiness is unknown */
#define MAX_WAITING 4          /* callers; further ones get the last check */

struct health {
    struct health_options options;
    struct thread thread;
    struct dependencies *dependencies; /* the thread's own */
    struct metric_cell *ready;
    pthread_cond_t checked; /* wakes waiting callers */
    bool is_wanted;
    int waiting;
    struct dependencies_check check;
    enum health_phase phase;
    uint64_t script_generation; /* 0: none yet */
    char script_hash[SCRIPT_HASH_LEN + 1];
};

/* ---- checks ------------------------------------------------------------------------------- */

static bool health_is_good(const struct dependencies_check *check, enum health_question question) {
    switch (question) {
    case HEALTH_READS:
        return check->reads;
    case HEALTH_CONSUMES:
        return check->reads && !check->lacks_tables && check->ingest == INGEST_MOVES;
    default:
        return check->reads && !check->lacks_tables && check->ingest != INGEST_STOPPED;
    }
}

/* False: stop. */
static bool health_wait_until_wanted(struct health *health) {
    int64_t deadline_us = clock_monotonic_us() + IDLE_CHECK_MS * 1000LL;
    thread_lock(&health->thread);
    while (!health->is_wanted && thread_sleep(&health->thread, deadline_us)) {
    }
    bool go_on = !health->thread.stopping;
    thread_unlock(&health->thread);
    return go_on;
}

static void *health_main(void *context) {
    struct health *health = context;
    while (health_wait_until_wanted(health)) {
        struct dependencies_check check = {0};
        dependencies_check(health->dependencies, &check);
        thread_lock(&health->thread);
        struct buffer outdated = health->check.json;
        health->check = check;
        health->is_wanted = false; /* also serves callers that asked meanwhile */
        pthread_cond_broadcast(&health->checked);
        thread_unlock(&health->thread);
        buffer_free(&outdated);
    }
    return NULL;
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void health_free(struct health *health) {
    dependencies_destroy(health->dependencies);
    pthread_cond_destroy(&health->checked);
    thread_free(&health->thread);
    buffer_free(&health->check.json);
    free(health);
}

struct health *health_start(const struct health_options *options, struct err *err) {
    struct health *health = xcalloc(1, sizeof *health);
    health->options = *options;
    health->is_wanted = true; /* check before the first question */
    thread_init(&health->thread);
    clock_condition_init(&health->checked);
    health->dependencies = dependencies_create(options, err);
    health->ready = metric_single(METRIC_GAUGE, "ras_ready", "1: /readyz answers 200.");
    if (health->dependencies && thread_start(&health->thread, health_main, health, "health", err)) {
        return health;
    }
    health_free(health);
    return NULL;
}

void health_stop(struct health *health) {
    if (!health) {
        return;
    }
    thread_stop(&health->thread);
    health_free(health);
}

void health_set_phase(struct health *health, enum health_phase phase) {
    thread_lock(&health->thread);
    health->phase = phase;
    thread_unlock(&health->thread);
}

void health_set_scripts(struct health *health, uint64_t generation, const char *hash) {
    thread_lock(&health->thread);
    health->script_generation = generation;
    snprintf(health->script_hash, sizeof health->script_hash, "%s", hash);
    thread_unlock(&health->thread);
}

/* ---- reporting ---------------------------------------------------------------------------- */

static bool health_checked_within(const struct health *health, int64_t age_us) {
    return health->check.checked_us != 0 &&
           clock_monotonic_us() - health->check.checked_us < age_us;
}

static bool health_is_fresh_now(const struct health *health) {
    return health_checked_within(
        health, health_is_good(&health->check, HEALTH_READY) ? FRESH_US : UNREADY_FRESH_US);
}

bool health_is_fresh(struct health *health) {
    thread_lock(&health->thread);
    bool fresh = health_is_fresh_now(health);
    thread_unlock(&health->thread);
    return fresh;
}

static void health_wait_for_check(struct health *health, int timeout_ms) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    int64_t checked_us = health->check.checked_us;
    int status = 0;
    if (health->waiting == MAX_WAITING) {
        return;
    }
    health->waiting++;
    while (!health_is_fresh_now(health) && health->check.checked_us == checked_us && status == 0) {
        status = clock_condition_wait(&health->checked, &health->thread.lock, deadline_us);
    }
    health->waiting--;
}

/* For people: "result_aggregator_service" becomes "Result Aggregator Service". */
static void health_append_message(struct buffer *json, const char *name, const char *status) {
    struct buffer message = {0};
    bool starts = true;
    for (const char *at = name; *at; at++) {
        bool between = *at == '_' || *at == '-';
        char c = between ? ' ' : starts && *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        buffer_append(&message, &c, 1);
        starts = between;
    }
    buffer_append_format(&message, " is %s", status);
    buffer_append_json_string(json, buffer_slice(&message));
    buffer_free(&message);
}

/* `stuck`: a JSON list of stuck calls; empty: none. */
static void health_append_scripts(const struct health *health, struct slice stuck,
                                  struct buffer *json) {
    buffer_append_format(json, ",\"scripts\":{\"generation\":%llu,\"hash\":\"%s\"",
                         (unsigned long long)health->script_generation, health->script_hash);
    if (stuck.len > 0) {
        buffer_append_text(json, ",\"stuck\":");
        buffer_append(json, stuck.data, stuck.len);
    }
    buffer_append_text(json, "}");
}

static void health_append_report(const struct health *health, const char *status, bool available,
                                 struct slice stuck, struct buffer *json) {
    const struct config *config = health->options.config;
    const struct dependencies_check *check = &health->check;
    buffer_append_text(json, "{\"service\":");
    buffer_append_json_string(json, slice_of(config->service.name));
    buffer_append_format(json, ",\"status\":\"%s\",\"message\":", status);
    health_append_message(json, config->service.name, status);
    buffer_append_text(json, ",\"version\":");
    buffer_append_json_string(json, slice_of(config->service.version));
    buffer_append_text(json, ",\"environment\":");
    buffer_append_json_string(json, slice_of(config->service.environment));
    buffer_append_format(json,
                         ",\"checks\":{\"service_responsive\":true,\"dependencies_available\":%s}"
                         ",\"dependencies\":{%.*s}",
                         available ? "true" : "false", (int)check->json.len,
                         buffer_slice(&check->json).data);
    health_append_scripts(health, stuck, json);
    buffer_append_text(json, ",\"program_version\":\"" AGGREGATOR_VERSION "\"");
    if (health->phase == HEALTH_STOPS) {
        buffer_append_text(json, ",\"stopping\":true");
    }
    if (check->checked_us != 0) {
        buffer_append_format(json, ",\"checked_ms_ago\":%lld",
                             (long long)(clock_monotonic_us() - check->checked_us) / 1000);
    }
    buffer_append_text(json, "}");
}

/* Whether the dependencies allow what the question asks for: a process that only reads need not
 * consume. */
static bool health_is_available(const struct health *health, enum health_question question) {
    bool reads_only = health->phase == HEALTH_READS_ONLY && question != HEALTH_ALIVE;
    return health_is_good(&health->check, reads_only ? HEALTH_READS : question) &&
           (question == HEALTH_ALIVE || health_checked_within(health, STALE_US));
}

/* Whether a probe is answered 200, by the last check. */
static bool health_passes(const struct health *health, enum health_question question,
                          bool none_stuck) {
    const struct config *config = health->options.config;
    if (question == HEALTH_ALIVE) { /* until the first check has failed */
        return !config->http.healthz_needs_database || health->check.reads ||
               health->check.checked_us == 0;
    }
    return health_is_available(health, question) && none_stuck && health->phase != HEALTH_STOPS &&
           (question != HEALTH_READS || config->http.routes);
}

void health_show_ready(struct health *health) {
    struct buffer stuck = {0};
    bool none_stuck = watchdog_report(&stuck);
    thread_lock(&health->thread);
    metric_set(health->ready, health_passes(health, HEALTH_READY, none_stuck));
    thread_unlock(&health->thread);
    buffer_free(&stuck);
}

bool health_report(struct health *health, enum health_question question, int timeout_ms,
                   struct buffer *json) {
    struct buffer stuck = {0};
    bool none_stuck = watchdog_report(&stuck);
    if (none_stuck) {
        buffer_clear(&stuck);
    }
    thread_lock(&health->thread);
    if (!health_is_fresh_now(health) && !health->is_wanted) {
        health->is_wanted = true;
        thread_wake(&health->thread);
    }
    if (question != HEALTH_ALIVE) {
        health_wait_for_check(health, timeout_ms);
    }
    bool available = health_is_available(health, question);
    bool good = health_passes(health, question, none_stuck);
    const char *status = !good ? "unhealthy" : health->check.degraded ? "degraded" : "healthy";
    health_append_report(health, status, available, buffer_slice(&stuck), json);
    thread_unlock(&health->thread);
    buffer_free(&stuck);
    return good;
}

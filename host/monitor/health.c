#include "health.h"

#include <stdlib.h>

#include "bindings/pg.h"
#include "bindings/redis.h"
#include "bindings/redis_refusal.h"
#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/plural.h"
#include "schema/migrate.h"
#include "schema/program_schema.h"
#include "base/thread.h"
#include "script/watchdog.h"
#include "base/xalloc.h"

#define FRESH_US 1000000
#define UNREADY_FRESH_US 50000  /* so that a wait for readiness ends soon */
#define IDLE_CHECK_MS 5000      /* without questions */
#define STALE_US 10000000       /* older: the check hangs, and readiness is unknown */
#define MAX_WAITING 4           /* callers; further ones get the last check */
#define CONNECT_TIMEOUT_MS 1500 /* of all servers of the URL */
#define STATEMENT_TIMEOUT_MS 1000

struct check {
    bool reads;
    bool lacks_tables; /* of the program, without which events or messages stop */
    enum ingest_state ingest;
    bool degraded;
    int64_t checked_us;         /* 0: never */
    struct buffer dependencies; /* `"database":{…},…` */
};

enum dependency { DATABASE, REDIS, KAFKA, DEPENDENCIES };
enum dependency_status { UNKNOWN, DISABLED, UNHEALTHY, DEGRADED, HEALTHY, STATUSES };

static const char *const dependency_names[DEPENDENCIES] = {"database", "redis", "kafka"};
static const char *const status_names[STATUSES] = {"unknown", "disabled", "unhealthy", "degraded",
                                                   "healthy"};

/* The health thread's own. */
struct dependency_state {
    enum dependency_status status;
    int64_t since_us; /* of the status, since 1970 */
    struct metric_cell *cells[STATUSES];
};

struct health {
    struct health_options options;
    struct thread thread;
    struct pg *pg;                            /* the thread's own */
    struct redis *redis;                      /* the thread's own; NULL without Redis */
    bool redis_refused;                       /* the last PING that got a reply; the thread's own */
    struct err logged_database, logged_redis; /* the last errors logged; the thread's own */
    struct dependency_state states[DEPENDENCIES];
    struct metric_cell *ready;
    int pending_migrations; /* the thread's own; so is look_at_us, when to count them again */
    int64_t look_at_us;
    pthread_cond_t checked; /* wakes waiting callers */
    bool is_wanted;
    int waiting;
    struct check check;
    enum health_phase phase;
    uint64_t script_generation; /* 0: none yet */
    char script_hash[SCRIPT_HASH_LEN + 1];
};

/* ---- checks ------------------------------------------------------------------------------- */

/* Notes the status and since when it is so, and closes the object that `json` ends with. */
static void health_note_status(struct health *health, enum dependency dependency,
                               enum dependency_status status, struct buffer *json) {
    struct dependency_state *state = &health->states[dependency];
    if (state->status != status) {
        state->status = status;
        state->since_us = clock_wall_us();
    }
    for (size_t i = UNHEALTHY; i < STATUSES; i++) {
        metric_set(state->cells[i], status == i);
    }
    json_put_time(json, "since", state->since_us);
    buffer_append_text(json, "}");
}

/* `reason`: public, because probes need no key; NULL: none. */
static void health_append_check(struct health *health, enum dependency dependency,
                                enum dependency_status status, const char *reason, int64_t began_us,
                                struct buffer *json) {
    buffer_append_format(json, "\"%s\":{\"status\":\"%s\"", dependency_names[dependency],
                         status_names[status]);
    if (reason) {
        buffer_append_text(json, ",\"reason\":");
        buffer_append_json_string(json, slice_of(reason));
    }
    if (status != DISABLED) {
        buffer_append_format(json, ",\"took_ms\":%.3f",
                             (double)(clock_monotonic_us() - began_us) / 1000);
    }
    health_note_status(health, dependency, status, json);
}

/* Logs the full text, with host names, when it changes. */
static void health_log_change(struct err *failure, const char *name, const struct err *err) {
    if (strcmp(failure->text, err->text) == 0) {
        return;
    }
    *failure = *err;
    if (err->kind != ERR_NONE) {
        log_warning("dependency is unavailable", LOG_TEXT("dependency", name),
                    LOG_TEXT("reason", err->text));
    }
}

struct health_answer {
    bool reads_only;
    char missing[256]; /* tables of the program; "": none */
};

static bool health_ask_once(struct pg *pg, struct health_answer *answer, bool *sent,
                            struct err *err) {
    static const char sql[] =
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, "
        "(SELECT string_agg(name, ', ') FROM " PROGRAM_SCHEMA_MISSING
        " AND name NOT IN ('instances', 'script_generations', 'script_files'))";
    struct pg_result *row = NULL;
    *sent = pg_wake(pg, CONNECT_TIMEOUT_MS, err);
    if (!*sent || !pg_query(pg, "health", sql, NULL, STATEMENT_TIMEOUT_MS, &row, err)) {
        return false;
    }
    answer->reads_only = strcmp(pg_rows_text(row, 0, 0), "t") == 0;
    snprintf(answer->missing, sizeof answer->missing, "%s", pg_rows_text(row, 0, 1));
    pg_rows_free(row);
    if (answer->reads_only) {
        pg_disconnect(
            pg); /* a session keeps its server and its settings: the next check looks again */
    }
    return true;
}

/* A closed idle connection is no outage: reconnects once. */
static bool health_ask_database(struct pg *pg, struct health_answer *answer, struct err *err) {
    bool sent;
    if (health_ask_once(pg, answer, &sent, err)) {
        return true;
    }
    if (!sent || pg_connected(pg) || err->kind == ERR_TIMEOUT) {
        return false;
    }
    err_clear(err);
    return health_ask_once(pg, answer, &sent, err);
}

/* While nothing is consumed, a missing migration may be the cause. The thread's own. */
static int health_pending_migrations(struct health *health) {
    int64_t now_us = clock_monotonic_us();
    struct err err = {0};
    bool consumes = health->check.ingest == INGEST_MOVES || health->check.ingest == INGEST_WAITS;
    if (health->check.checked_us == 0 || consumes) {
        health->pending_migrations = 0;
    } else if (now_us >= health->look_at_us && migrate_pending(health->pg, health->options.config,
                                                               &health->pending_migrations, &err)) {
        health->look_at_us = now_us + FRESH_US;
    }
    return health->pending_migrations;
}

#define MISSING "a schema or table is missing in the database"

/* What is wrong with a database that replied; "": nothing. False: only reads work. */
static bool health_judge_database(struct health *health, const struct health_answer *answer,
                                  char *reason, size_t cap) {
    int pending = answer->reads_only ? 0 : health_pending_migrations(health);
    if (answer->missing[0]) {
        snprintf(reason, cap, MISSING " (%s): run `aggregator migrate`", answer->missing);
        return false;
    }
    if (answer->reads_only && health->options.config->ingest.workers > 0) {
        snprintf(reason, cap, "the database is read-only: it is a standby, or is set so");
    } else if (pending > 0) {
        snprintf(reason, cap, "the database lacks %d migration%s: run `aggregator migrate`",
                 pending, plural_of(pending));
    } else if (pg_short_of_connections()) {
        snprintf(reason, cap, "the database or its pooler allows no more connections");
    }
    return true;
}

/* True: Postgres replies, if only to reads. */
static bool health_check_database(struct health *health, struct check *check, struct buffer *json) {
    struct err err = {0};
    int64_t began_us = clock_monotonic_us();
    struct health_answer answer = {0};
    char reason[384] = "";
    bool ok = health_ask_database(health->pg, &answer, &err);
    check->lacks_tables = ok && !health_judge_database(health, &answer, reason, sizeof reason);
    if (!ok) {
        snprintf(reason, sizeof reason, "%s", pg_plain_reason(&err));
    }
    enum dependency_status status = !ok || check->lacks_tables ? UNHEALTHY
                                    : reason[0]                ? DEGRADED
                                                               : HEALTHY;
    health_append_check(health, DATABASE, status, reason[0] ? reason : NULL, began_us, json);
    if (check->lacks_tables) {
        err_set(&err, ERR_UNAVAILABLE, "%s", reason);
    }
    health_log_change(&health->logged_database, "database", &err);
    return ok;
}

static void health_on_pong(void *context, size_t index, const redisReply *reply) {
    struct err *err = context;
    (void)index;
    if (reply->type == REDIS_REPLY_ERROR) {
        err_set(err, ERR_UNAVAILABLE, "%s", reply->str);
    }
}

/* NULL: it is healthy. `refused`: it replies to PING with an error. */
static const char *health_redis_reason(struct health *health, bool ok, bool refused,
                                       const struct err *err, char text[REDIS_REFUSAL_TEXT_CAP]) {
    if (ok && !refused && health->redis_refused) {
        redis_refusal_forget();
    }
    health->redis_refused = ok ? refused : health->redis_refused;
    if (ok && redis_refusal_now(text)) { /* to any connection of this process */
        return text;
    }
    return ok && !refused ? NULL : redis_plain_reason(health->redis, err);
}

/* Never makes the process unready: without Redis everything works, slower. */
static bool health_check_redis(struct health *health, struct buffer *json) {
    struct err err = {0}, refused = {0};
    struct slice ping = slice_of("PING");
    int64_t began_us = clock_monotonic_us();
    if (!health->redis) {
        health_append_check(health, REDIS, DISABLED, NULL, began_us, json);
        return true;
    }
    bool ok = redis_append(health->redis, &ping, 1, &err) &&
              redis_run(health->redis, health_on_pong, &refused, &err);
    bool is_refused = ok && refused.kind != ERR_NONE;
    if (is_refused) {
        err = refused;
    }
    char text[REDIS_REFUSAL_TEXT_CAP];
    const char *reason = health_redis_reason(health, ok, is_refused, &err, text);
    health_append_check(health, REDIS, reason ? DEGRADED : HEALTHY, reason, began_us, json);
    health_log_change(&health->logged_redis, "redis", &err);
    return !reason;
}

static enum ingest_state health_check_kafka(struct health *health, struct buffer *json) {
    static const enum dependency_status statuses[] = {[INGEST_OFF] = DISABLED,
                                                      [INGEST_STOPPED] = UNHEALTHY,
                                                      [INGEST_WAITS] = DEGRADED,
                                                      [INGEST_MOVES] = HEALTHY};
    enum ingest_state state = health->options.consuming(health->options.context, json);
    json->len--; /* the object's "}" */
    health_note_status(health, KAFKA, statuses[state], json);
    return state;
}

static void health_check_all(struct health *health, struct check *check) {
    struct buffer *json = &check->dependencies;
    bool database = health_check_database(health, check, json);
    buffer_append_text(json, ",");
    bool redis = health_check_redis(health, json);
    buffer_append_text(json, ",");
    check->ingest = health_check_kafka(health, json);
    check->reads = database;
    check->degraded = !redis || check->lacks_tables || pg_short_of_connections() ||
                      (check->ingest != INGEST_MOVES && check->ingest != INGEST_OFF);
    check->checked_us = clock_monotonic_us();
}

static bool health_is_good(const struct check *check, enum health_question question) {
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
        struct check check = {0};
        health_check_all(health, &check);
        thread_lock(&health->thread);
        struct buffer outdated = health->check.dependencies;
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
    pg_destroy(health->pg);
    if (health->redis) {
        redis_destroy(health->redis);
    }
    pthread_cond_destroy(&health->checked);
    thread_free(&health->thread);
    buffer_free(&health->check.dependencies);
    free(health);
}

static bool health_open_probes(struct health *health, struct err *err) {
    const struct config *config = health->options.config;
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator health",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    health->pg = pg_create(&options);
    if (!config->redis.url[0]) {
        return true;
    }
    health->redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
    return health->redis != NULL;
}

static void health_make_metrics(struct health *health) {
    struct metric *family = metric_family(
        METRIC_GAUGE, "ras_dependency_status",
        "1 under the status that the last check of the dependency had.", "dependency,status");
    for (size_t i = 0; i < DEPENDENCIES; i++) {
        for (size_t j = UNHEALTHY; j < STATUSES; j++) {
            health->states[i].cells[j] = metric_cell(family, dependency_names[i], status_names[j]);
        }
    }
    health->ready = metric_single(METRIC_GAUGE, "ras_ready", "1: /readyz answers 200.");
}

struct health *health_start(const struct health_options *options, struct err *err) {
    struct health *health = xcalloc(1, sizeof *health);
    health->options = *options;
    health->is_wanted = true; /* check before the first question */
    health_make_metrics(health);
    thread_init(&health->thread);
    clock_condition_init(&health->checked);
    if (health_open_probes(health, err) &&
        thread_start(&health->thread, health_main, health, "health", err)) {
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
    const struct check *check = &health->check;
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
                         available ? "true" : "false", (int)check->dependencies.len,
                         buffer_slice(&check->dependencies).data);
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

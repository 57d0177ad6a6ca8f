#include "dependencies.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/plural.h"
#include "base/xalloc.h"
#include "bindings/pg.h"
#include "bindings/redis.h"
#include "bindings/redis_refusal.h"
#include "schema/migrate.h"
#include "schema/program_schema.h"

#define CONNECT_TIMEOUT_MS 1500 /* of all servers of the URL */
#define STATEMENT_TIMEOUT_MS 1000
#define MIGRATIONS_FRESH_US 1000000

enum dependency { DATABASE, REDIS, KAFKA, DEPENDENCIES };
enum dependency_status { UNKNOWN, DISABLED, UNHEALTHY, DEGRADED, HEALTHY, STATUSES };

static const char *const dependency_names[DEPENDENCIES] = {"database", "redis", "kafka"};
static const char *const status_names[STATUSES] = {"unknown", "disabled", "unhealthy", "degraded",
                                                   "healthy"};

struct dependency_state {
    enum dependency_status status;
    int64_t since_us; /* of the status, since 1970 */
    struct metric_cell *cells[STATUSES];
};

struct dependencies {
    struct health_options options;
    struct pg *pg;
    struct redis *redis;                      /* NULL without Redis */
    bool redis_refused;                       /* the last PING that got a reply */
    struct err logged_database, logged_redis; /* the last errors logged */
    struct dependency_state states[DEPENDENCIES];
    bool consumes_nothing; /* at the last check */
    int pending_migrations;
    int64_t look_at_us; /* when to count them again */
};

/* Notes the status and since when it is so, and closes the object that `json` ends with. */
static void dependencies_note_status(struct dependencies *dependencies, enum dependency dependency,
                                     enum dependency_status status, struct buffer *json) {
    struct dependency_state *state = &dependencies->states[dependency];
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
static void dependencies_append_check(struct dependencies *dependencies, enum dependency dependency,
                                      enum dependency_status status, const char *reason,
                                      int64_t began_us, struct buffer *json) {
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
    dependencies_note_status(dependencies, dependency, status, json);
}

/* Logs the full text, with host names, when it changes. */
static void dependencies_log_change(struct err *failure, const char *name, const struct err *err) {
    if (strcmp(failure->text, err->text) == 0) {
        return;
    }
    *failure = *err;
    if (err->kind != ERR_NONE) {
        log_warning("dependency is unavailable", LOG_TEXT("dependency", name),
                    LOG_TEXT("reason", err->text));
    }
}

struct database_answer {
    bool reads_only;
    char missing[256]; /* tables of the program; "": none */
};

static bool dependencies_ask_once(struct pg *pg, struct database_answer *answer, bool *sent,
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
static bool dependencies_ask_database(struct pg *pg, struct database_answer *answer,
                                      struct err *err) {
    bool sent;
    if (dependencies_ask_once(pg, answer, &sent, err)) {
        return true;
    }
    if (!sent || pg_connected(pg) || err->kind == ERR_TIMEOUT) {
        return false;
    }
    err_clear(err);
    return dependencies_ask_once(pg, answer, &sent, err);
}

/* While nothing is consumed, a missing migration may be the cause. */
static int dependencies_pending_migrations(struct dependencies *dependencies) {
    int64_t now_us = clock_monotonic_us();
    struct err err = {0};
    if (!dependencies->consumes_nothing) {
        dependencies->pending_migrations = 0;
    } else if (now_us >= dependencies->look_at_us &&
               migrate_pending(dependencies->pg, dependencies->options.config,
                               &dependencies->pending_migrations, &err)) {
        dependencies->look_at_us = now_us + MIGRATIONS_FRESH_US;
    }
    return dependencies->pending_migrations;
}

#define MISSING "a schema or table is missing in the database"

/* What is wrong with a database that replied; "": nothing. False: only reads work. */
static bool dependencies_judge_database(struct dependencies *dependencies,
                                        const struct database_answer *answer, char *reason,
                                        size_t cap) {
    int pending = answer->reads_only ? 0 : dependencies_pending_migrations(dependencies);
    if (answer->missing[0]) {
        snprintf(reason, cap, MISSING " (%s): run `aggregator migrate`", answer->missing);
        return false;
    }
    if (answer->reads_only && dependencies->options.config->ingest.workers > 0) {
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
static bool dependencies_check_database(struct dependencies *dependencies,
                                        struct dependencies_check *check, struct buffer *json) {
    struct err err = {0};
    int64_t began_us = clock_monotonic_us();
    struct database_answer answer = {0};
    char reason[384] = "";
    bool ok = dependencies_ask_database(dependencies->pg, &answer, &err);
    check->lacks_tables =
        ok && !dependencies_judge_database(dependencies, &answer, reason, sizeof reason);
    if (!ok) {
        snprintf(reason, sizeof reason, "%s", pg_plain_reason(&err));
    }
    enum dependency_status status = !ok || check->lacks_tables ? UNHEALTHY
                                    : reason[0]                ? DEGRADED
                                                               : HEALTHY;
    dependencies_append_check(dependencies, DATABASE, status, reason[0] ? reason : NULL, began_us,
                              json);
    if (check->lacks_tables) {
        err_set(&err, ERR_UNAVAILABLE, "%s", reason);
    }
    dependencies_log_change(&dependencies->logged_database, "database", &err);
    return ok;
}

static void dependencies_on_pong(void *context, size_t index, const redisReply *reply) {
    struct err *err = context;
    (void)index;
    if (reply->type == REDIS_REPLY_ERROR) {
        err_set(err, ERR_UNAVAILABLE, "%s", reply->str);
    }
}

/* NULL: it is healthy. `refused`: it replies to PING with an error. */
static const char *dependencies_redis_reason(struct dependencies *dependencies, bool ok,
                                             bool refused, const struct err *err,
                                             char text[REDIS_REFUSAL_TEXT_CAP]) {
    if (ok && !refused && dependencies->redis_refused) {
        redis_refusal_forget();
    }
    dependencies->redis_refused = ok ? refused : dependencies->redis_refused;
    if (ok && redis_refusal_now(text)) { /* to any connection of this process */
        return text;
    }
    return ok && !refused ? NULL : redis_plain_reason(dependencies->redis, err);
}

/* Never makes the process unready: without Redis everything works, slower. */
static bool dependencies_check_redis(struct dependencies *dependencies, struct buffer *json) {
    struct err err = {0}, refused = {0};
    struct slice ping = slice_of("PING");
    int64_t began_us = clock_monotonic_us();
    if (!dependencies->redis) {
        dependencies_append_check(dependencies, REDIS, DISABLED, NULL, began_us, json);
        return true;
    }
    bool ok = redis_append(dependencies->redis, &ping, 1, &err) &&
              redis_run(dependencies->redis, dependencies_on_pong, &refused, &err);
    bool is_refused = ok && refused.kind != ERR_NONE;
    if (is_refused) {
        err = refused;
    }
    char text[REDIS_REFUSAL_TEXT_CAP];
    const char *reason = dependencies_redis_reason(dependencies, ok, is_refused, &err, text);
    dependencies_append_check(dependencies, REDIS, reason ? DEGRADED : HEALTHY, reason, began_us,
                              json);
    dependencies_log_change(&dependencies->logged_redis, "redis", &err);
    return !reason;
}

static enum ingest_state dependencies_check_kafka(struct dependencies *dependencies,
                                                  struct buffer *json) {
    static const enum dependency_status statuses[] = {[INGEST_OFF] = DISABLED,
                                                      [INGEST_STOPPED] = UNHEALTHY,
                                                      [INGEST_WAITS] = DEGRADED,
                                                      [INGEST_MOVES] = HEALTHY};
    enum ingest_state state = dependencies->options.consuming(dependencies->options.context, json);
    json->len--; /* the object's "}" */
    dependencies_note_status(dependencies, KAFKA, statuses[state], json);
    return state;
}

void dependencies_check(struct dependencies *dependencies, struct dependencies_check *check) {
    struct buffer *json = &check->json;
    check->reads = dependencies_check_database(dependencies, check, json);
    buffer_append_text(json, ",");
    bool redis = dependencies_check_redis(dependencies, json);
    buffer_append_text(json, ",");
    check->ingest = dependencies_check_kafka(dependencies, json);
    check->degraded = !redis || check->lacks_tables || pg_short_of_connections() ||
                      (check->ingest != INGEST_MOVES && check->ingest != INGEST_OFF);
    check->checked_us = clock_monotonic_us();
    dependencies->consumes_nothing = check->ingest != INGEST_MOVES && check->ingest != INGEST_WAITS;
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void dependencies_make_metrics(struct dependencies *dependencies) {
    struct metric *family = metric_family(
        METRIC_GAUGE, "ras_dependency_status",
        "1 under the status that the last check of the dependency had.", "dependency,status");
    for (size_t i = 0; i < DEPENDENCIES; i++) {
        for (size_t j = UNHEALTHY; j < STATUSES; j++) {
            dependencies->states[i].cells[j] =
                metric_cell(family, dependency_names[i], status_names[j]);
        }
    }
}

struct dependencies *dependencies_create(const struct health_options *options, struct err *err) {
    const struct config *config = options->config;
    struct pg_options pg = {
        .url = config->postgres.url,
        .application_name = "aggregator health",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    struct redis *redis = NULL;
    if (config->redis.url[0] &&
        !(redis = redis_create(config->redis.url, config->redis.timeout_ms, err))) {
        return NULL;
    }
    struct dependencies *dependencies = xcalloc(1, sizeof *dependencies);
    dependencies->options = *options;
    dependencies->pg = pg_create(&pg);
    dependencies->redis = redis;
    dependencies_make_metrics(dependencies);
    return dependencies;
}

void dependencies_destroy(struct dependencies *dependencies) {
    if (!dependencies) {
        return;
    }
    pg_destroy(dependencies->pg);
    if (dependencies->redis) {
        redis_destroy(dependencies->redis);
    }
    free(dependencies);
}

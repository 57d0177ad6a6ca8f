/* check: finds errors of configuration, scripts and schema before anything runs. */
#include <stdio.h>

#include "base/plural.h"
#include "base/timestamp.h"
#include "command.h"
#include "http/admission.h"
#include "http/certificates.h"
#include "http/credentials.h"
#include "http/builtin_paths.h"
#include "bindings/kafka_consumer.h"
#include "bindings/redis.h"
#include "config/config.h"
#include "schema/migrate.h"
#include "check/schema_check.h"
#include "check/lint.h"
#include "script/script.h"
#include "view/sql_session.h"

static bool check_database(const struct config *config, const struct script_generation *generation,
                           struct err *err) {
    struct sql_session session;
    int timeout_ms = config->postgres.statement_timeout_ms;
    int pending = 0;
    bool ok = sql_session_open(&session, config, "aggregator check", timeout_ms, err) &&
              migrate_pending(session.pg, config, &pending, err);
    if (ok && pending > 0) {
        ok = err_set(err, ERR_INPUT, "%d migration%s not applied: run `aggregator migrate`",
                     pending, pending == 1 ? " is" : "s are");
    }
    ok = ok && migrate_check_tables(session.pg, err) &&
         schema_check(&session, generation, SCHEMA_RUN, err);
    sql_session_close(&session);
    return ok;
}

/* Whether librdkafka accepts the properties; connects to no broker. */
static bool check_kafka(const struct config *config, struct err *err) {
    static const struct kafka_member_calls calls; /* a member, for its group.instance.id */
    struct kafka_consumer_options options = {.settings = config_kafka_settings(config),
                                             .calls = &calls};
    options.settings.brokers = "";
    struct kafka_consumer *consumer = kafka_consumer_open(&options, err);
    kafka_consumer_destroy(consumer);
    return consumer != NULL;
}

/* Whether the files of its TLS can be used; connects to no server. */
static bool check_redis(const struct config *config, struct err *err) {
    if (!config->redis.url[0]) {
        return true;
    }
    struct redis *redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
    redis_destroy(redis);
    return redis != NULL;
}

static bool check_names(const struct script_generation *generation) {
    struct err err = {0};
    struct lint *lint = lint_create();
    enum lint_result result = lint_generation(lint, generation, NULL, &err);
    lint_destroy(lint);
    switch (result) {
    case LINT_GOOD:
        puts("names: good, none undefined, unused or shadowed");
        return true;
    case LINT_MISSING:
        puts("names: not checked: luacheck is not installed (on Debian: lua-check)");
        return true;
    case LINT_BAD:
        break;
    }
    fprintf(stderr, "names: %s\n", err.text);
    return false;
}

static bool check_certificates(const struct config *config) {
    const struct certificates_of listeners[] = {certificates_of_http(config),
                                                certificates_of_admin(config)};
    struct err err = {0};
    for (size_t i = 0; i < sizeof listeners / sizeof *listeners; i++) {
        struct tls_certificate about;
        if (!certificates_check(&listeners[i], &about, &err)) {
            fprintf(stderr, "configuration: %s\n", err.text);
            return false;
        }
        if (about.not_after_s > 0) {
            char until[TIMESTAMP_TEXT_CAP];
            timestamp_format(about.not_after_s * 1000000, until);
            printf("tls: good, the listener %s has the certificate of %s, which expires at %s\n",
                   listeners[i].listener, about.subject, until);
        }
    }
    return true;
}

/* Keys, services and certificates. */
static bool check_admission(const struct config *config) {
    struct err err = {0};
    struct admission *admission = admission_create(config, &err);
    struct credentials *admin =
        admission ? credentials_create("admin.keys", &config->admin.keys, &err) : NULL;
    const struct problems *warnings = admin ? admission_warnings(admission) : NULL;
    for (size_t i = 0; warnings && i < warnings->count; i++) {
        fprintf(stderr, "warning: %s\n", warnings->items[i].text);
    }
    if (!admin) {
        fprintf(stderr, "configuration: %s\n", err.text);
    }
    credentials_destroy(admin);
    admission_unref(admission);
    return admin != NULL && check_certificates(config);
}

int command_check(const struct command *command) {
    const struct config *config = command->config;
    struct err err = {0};
    if (!check_admission(config)) {
        return 1;
    }
    struct script_generation *generation = script_generation_load_service(config, 1, &err);
    if (!generation || !builtin_paths_leave_routes(generation, &err)) {
        fprintf(stderr, "scripts: %s\n", err.text);
        script_generation_unref(generation);
        return 1;
    }
    size_t handlers, routes, reactions;
    script_generation_handlers(generation, &handlers);
    script_generation_routes(generation, &routes);
    script_generation_reactions(generation, &reactions);
    const struct view *view = script_generation_view(generation);
    printf("configuration: good\nscripts: good, %zu handler%s, %zu route%s, %zu reaction%s, %zu "
           "table%s, hash %s\n",
           handlers, plural_of((int64_t)handlers), routes, plural_of((int64_t)routes), reactions,
           plural_of((int64_t)reactions), view->table_count, plural_of((int64_t)view->table_count),
           script_generation_hash(generation));
    bool names = check_names(generation);
    bool kafka = check_kafka(config, &err);
    if (!kafka) {
        fprintf(stderr, "kafka: %s\n", err.text);
        err_clear(&err);
    }
    bool redis = check_redis(config, &err);
    if (!redis) {
        fprintf(stderr, "redis: %s\n", err.text);
        err_clear(&err);
    }
    bool database = check_database(config, generation, &err);
    if (database) {
        puts("database: good, view and queries agree with its schema");
    } else {
        fprintf(stderr, "database: %s\n", err.text);
    }
    script_generation_unref(generation);
    return names && kafka && redis && database ? 0 : 1;
}

int command_migrate(const struct command *command) {
    const struct config *config = command->config;
    struct err err = {0};
    int applied = 0;
    if (!migrate_run(config, &applied, &err)) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return 1;
    }
    printf("%d migration%s applied\n", applied, plural_of(applied));
    return 0;
}

/* check: finds errors of configuration, scripts and schema before anything runs. */
#include <stdio.h>

#include "base/plural.h"
#include "base/timestamp.h"
#include "command.h"
#include "admin/socket.h"
#include "http/admission.h"
#include "http/api_description.h"
#include "http/certificates.h"
#include "http/credentials.h"
#include "http/builtin_paths.h"
#include "bindings/kafka_consumer.h"
#include "bindings/redis.h"
#include "config/config.h"
#include "schema/citus.h"
#include "schema/migrate.h"
#include "check/query_samples.h"
#include "check/schema_check.h"
#include "check/findings.h"
#include "check/lint.h"
#include "check/write_rights.h"
#include "retention/indexes.h"
#include "script/script.h"
#include "stored/messages.h"
#include "view/sql_session.h"

static void check_list_read_topics(const struct script_generation *generation,
                                   struct findings *findings) {
    struct buffer text = {0};
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            buffer_append_format(&text, "%s%s", text.len > 0 ? ", " : "", handlers[i].topics[t]);
        }
    }
    findings_add(findings, FINDING_GOOD, "topics read", text.data);
    buffer_free(&text);
}

/* Scripts name a topic when they publish: only what they have published is known. */
static bool check_list_published_topics(struct sql_session *session, struct findings *findings,
                                        struct err *err) {
    struct pg_result *row;
    if (!sql_query(session, slice_of(messages_topics_sql), &row, err)) {
        return false;
    }
    const char *topics = pg_rows_text(row, 0, 0);
    findings_add(findings, FINDING_GOOD, "topics published, by the newest messages of the outbox",
                 *topics ? topics : "none yet");
    pg_rows_free(row);
    return true;
}

static bool check_samples(struct sql_session *session, const struct config *config,
                          const struct script_generation *generation, struct findings *findings,
                          struct err *err) {
    enum citus_node node;
    struct buffer summary = {0};
    bool ok = citus_find(session->pg, &node, err) &&
              (!script_generation_view(generation)->forgets ||
               citus_allows(session->pg, CITUS_LACKS_RETENTION, err)) &&
              query_samples_check(session, config, node != CITUS_NONE, generation, &summary, err);
    if (ok) {
        findings_add(findings, FINDING_GOOD, "queries", summary.data);
    }
    buffer_free(&summary);
    return ok;
}

static bool check_find_indexes(struct sql_session *session, const struct view_table *table,
                               struct buffer *statements, struct err *err) {
    bool missing[INDEXES_MAX];
    if (!indexes_find_missing(session, table, missing, err)) {
        return false;
    }
    for (size_t at = 0; at <= table->retention->with_count; at++) {
        if (missing[at]) {
            buffer_append_text(statements, statements->len > 0 ? "; " : "");
            indexes_append_statement(statements, table, at);
        }
    }
    return true;
}

/* Rows leave without them, too, but each is searched for in the whole table. */
static bool check_indexes(struct sql_session *session, const struct script_generation *generation,
                          struct findings *findings, struct err *err) {
    const struct view *view = script_generation_view(generation);
    struct buffer statements = {0}, text = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = !view->tables[i].retention ||
             check_find_indexes(session, &view->tables[i], &statements, err);
    }
    if (ok && statements.len > 0) {
        buffer_append_format(&text, "its deletes read whole tables for lack of an index: %s",
                             statements.data);
        findings_add(findings, FINDING_WARNING, "retention", text.data);
    }
    buffer_free(&statements);
    buffer_free(&text);
    return ok;
}

static bool check_database(const struct config *config, const struct script_generation *generation,
                           struct findings *findings, struct err *err) {
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
         schema_check(&session, generation, SCHEMA_RUN, err) &&
         (config->ingest.workers == 0 || write_rights_check(&session, generation, err)) &&
         check_samples(&session, config, generation, findings, err) &&
         check_indexes(&session, generation, findings, err) &&
         check_list_published_topics(&session, findings, err);
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

static bool check_names(const struct script_generation *generation, struct findings *findings) {
    struct err err = {0};
    struct lint *lint = lint_create();
    enum lint_result result = lint_generation(lint, generation, NULL, &err);
    lint_destroy(lint);
    switch (result) {
    case LINT_GOOD:
        return findings_add(findings, FINDING_GOOD, "names",
                            "good, none undefined, unused or shadowed");
    case LINT_MISSING:
        return findings_add(findings, FINDING_GOOD, "names",
                            "not checked: luacheck is not installed (on Debian: lua-check)");
    case LINT_BAD:
        break;
    }
    return findings_add(findings, FINDING_ERROR, "names", err.text);
}

static bool check_certificates(const struct config *config, struct findings *findings) {
    const struct certificates_of listeners[] = {certificates_of_http(config),
                                                certificates_of_admin(config)};
    struct err err = {0};
    for (size_t i = 0; i < sizeof listeners / sizeof *listeners; i++) {
        struct tls_certificate about;
        if (!certificates_check(&listeners[i], &about, &err)) {
            return findings_add(findings, FINDING_ERROR, "configuration", err.text);
        }
        if (about.not_after_s > 0) {
            char until[TIMESTAMP_TEXT_CAP];
            struct buffer text = {0};
            timestamp_format(about.not_after_s * 1000000, until);
            buffer_append_format(
                &text, "good, the listener %s has the certificate of %s, which expires at %s",
                listeners[i].listener, about.subject, until);
            findings_add(findings, FINDING_GOOD, "tls", text.data);
            buffer_free(&text);
        }
    }
    return true;
}

/* Keys, services and certificates. */
static bool check_admission(const struct config *config, struct findings *findings) {
    struct err err = {0};
    struct admission *admission = admission_create(config, &err);
    struct credentials *admin =
        admission ? credentials_create("admin.keys", &config->admin.keys, &err) : NULL;
    const struct problems *warnings = admin ? admission_warnings(admission) : NULL;
    for (size_t i = 0; warnings && i < warnings->count; i++) {
        findings_add(findings, FINDING_WARNING, "configuration", warnings->items[i].text);
    }
    bool good = admin || findings_add(findings, FINDING_ERROR, "configuration", err.text);
    credentials_destroy(admin);
    admission_unref(admission);
    return good && check_certificates(config, findings);
}

static bool check_description(const struct script_generation *generation, struct err *err) {
    struct buffer document = {0};
    bool ok = api_description_append(generation, false, &document, err);
    buffer_free(&document);
    return ok;
}

static void check_count_scripts(const struct script_generation *generation,
                                struct findings *findings) {
    struct buffer text = {0};
    size_t handlers, routes, reactions;
    script_generation_handlers(generation, &handlers);
    script_generation_routes(generation, &routes);
    script_generation_reactions(generation, &reactions);
    const struct view *view = script_generation_view(generation);
    buffer_append_format(&text,
                         "good, %zu handler%s, %zu route%s, %zu reaction%s, %zu table%s, hash %s",
                         handlers, plural_of((int64_t)handlers), routes, plural_of((int64_t)routes),
                         reactions, plural_of((int64_t)reactions), view->table_count,
                         plural_of((int64_t)view->table_count), script_generation_hash(generation));
    findings_add(findings, FINDING_GOOD, "scripts", text.data);
    buffer_free(&text);
}

static void check_clients(const struct config *config, struct findings *findings) {
    struct err err = {0};
    if (!check_kafka(config, &err)) {
        findings_add(findings, FINDING_ERROR, "kafka", err.text);
        err_clear(&err);
    }
    if (!check_redis(config, &err)) {
        findings_add(findings, FINDING_ERROR, "redis", err.text);
    }
}

/* NULL: the scripts have mistakes. Their names are checked all the same. */
static struct script_generation *check_scripts(const struct config *config,
                                               struct findings *findings) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load_service(config, 1, &err);
    bool good = generation && builtin_paths_leave_routes(generation, &err) &&
                check_description(generation, &err);
    struct script_generation *sources =
        generation ? generation : script_generation_read(config, &(struct err){0});
    if (good) {
        check_count_scripts(generation, findings);
        check_list_read_topics(generation, findings);
    } else {
        findings_add(findings, FINDING_ERROR, "scripts", err.text);
    }
    if (sources) {
        check_names(sources, findings);
    }
    if (!good) {
        script_generation_unref(sources);
    }
    return good ? generation : NULL;
}

/* A process without the socket runs, but no command reaches it. */
static void check_socket(const struct config *config, struct findings *findings) {
    struct err err = {0};
    if (!admin_socket_check(config->admin.socket, &err)) {
        findings_add(findings, FINDING_WARNING, "configuration", err.text);
    }
}

static void check_all(const struct config *config, struct findings *findings) {
    struct err err = {0};
    check_socket(config, findings);
    if (check_admission(config, findings)) {
        findings_add(findings, FINDING_GOOD, "configuration", "good");
    }
    struct script_generation *generation = check_scripts(config, findings);
    check_clients(config, findings);
    if (generation) {
        bool good = check_database(config, generation, findings, &err);
        findings_add(findings, good ? FINDING_GOOD : FINDING_ERROR, "database",
                     good ? "good, view and queries agree with its schema" : err.text);
    }
    script_generation_unref(generation);
}

int command_check(const struct command *command) {
    script_print_plainly();
    struct findings findings = {.format = findings_format_of(command->format)};
    if (command->config) {
        check_all(command->config, &findings);
    } else {
        findings_add(&findings, FINDING_ERROR,
                     findings.format == FINDINGS_TEXT ? "aggregator" : "configuration",
                     command->config_problem);
    }
    return findings_finish(&findings);
}

#include "verbs.h"

#include <ctype.h>
#include <stdlib.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/log_recent.h"
#include "bindings/pg_reads.h"
#include "monitor/sample.h"
#include "reload/generation_store.h"
#include "reload/script_changes.h"
#include "script/compiler.h"
#include "instances.h"
#include "partitions.h"
#include "stored_verbs.h"
#include "upgrade/upgrade.h"

#define HEALTH_TIMEOUT_MS 5000

static void verbs_put_warnings(const struct admin_context *program, struct buffer *json) {
    json_open(json, "warnings", "[");
    api_put_warnings(program->api, json);
    certificates_put_warnings(program->certificates, json);
    certificates_put_warnings(program->admin_certificates, json);
    buffer_append_text(json, "]");
}

static void verbs_put_certificates(const struct admin_context *program, struct buffer *json) {
    json_open(json, "certificates", "[");
    certificates_report(program->certificates, json);
    certificates_report(program->admin_certificates, json);
    buffer_append_text(json, "]");
}

static void verbs_put_process(const struct admin_context *program, struct buffer *json) {
    const struct config *config = program->config;
    json_open(json, "process", "{");
    json_put_text(json, "instance", slice_of(heartbeat_instance(program->heartbeat)));
    json_put_int(json, "pid", getpid());
    json_put_time(json, "started", program->started_us);
    json_put_int(json, "uptime_s", (clock_monotonic_us() - program->up_since_us) / 1000000);
    json_put_int(json, "ingest_workers", config->ingest.workers);
    json_put_int(json, "http_states", config->http.states);
    json_put_int(json, "http_threads", config->http.threads);
    json_put_name(json, "compiler");
    compiler_report(json);
    buffer_append_text(json, "}");
}

static void verbs_put_recent(struct buffer *json) {
    json_put_name(json, "recent_problems");
    log_recent_append(json);
}

static bool verbs_put_health(const struct admin_context *program, struct buffer *json) {
    struct buffer health = {0};
    bool ready = health_report(program->health, HEALTH_READY, HEALTH_TIMEOUT_MS, &health);
    json_put_bool(json, "ready", ready);
    json_put_name(json, "health");
    buffer_append(json, health.data, health.len);
    buffer_free(&health);
    return ready;
}

static int verbs_answer_status(void *context, const struct admin_request *request,
                               struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    buffer_append_text(json, "{");
    json_put_int(json, "port", http_server_port(program->http));
    bool ready = verbs_put_health(program, json);
    verbs_put_warnings(program, json);
    verbs_put_certificates(program, json);
    reactor_report(program->reactor, json);
    outbox_relay_report(program->relay, json);
    retention_report(program->retention, json);
    json_put_name(json, "generations");
    reload_list(program->reload, json);
    json_put_name(json, "before_start");
    heartbeat_append_before(program->heartbeat, json);
    /* Unready: the database may be the reason, so status does not wait for it. */
    instances_append(program->config, heartbeat_instance(program->heartbeat), ready, json);
    verbs_put_process(program, json);
    json_put_name(json, "rates");
    figures_append_newest(program->figures, json);
    pg_reads_report(json);
    sample_put_lag(json, "lag");
    sample_put_metric(json, "rejected_events", "ras_invalid_messages_total");
    sample_put_seen(json, "seen_ids", program->config->redis.seen_max_mb);
    verbs_put_recent(json);
    buffer_append_text(json, "}");
    return 200;
}

/* Each second, of each `aggregator top`: it asks no other process. */
static int verbs_answer_sample(void *context, const struct admin_request *request,
                               struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    buffer_append_text(json, "{");
    (void)verbs_put_health(program, json);
    verbs_put_process(program, json);
    reactor_report(program->reactor, json);
    outbox_relay_report(program->relay, json);
    sample_put(json);
    verbs_put_recent(json);
    buffer_append_text(json, "}");
    return 200;
}

/* Answers as the probe: /healthz (alive, the default), /readyz, /readyz/read, /readyz/consume. */
static int verbs_answer_health(void *context, const struct admin_request *request,
                               struct buffer *json) {
    static const struct {
        const char *name;
        enum health_question question;
    } probes[] = {{"alive", HEALTH_ALIVE},
                  {"ready", HEALTH_READY},
                  {"read", HEALTH_READS},
                  {"consume", HEALTH_CONSUMES}};
    struct admin_context *program = context;
    struct slice asked = request->param_count > 0 ? request->params[0].value : slice_of("alive");
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        if (slice_equal(asked, slice_of(probes[i].name))) {
            struct buffer health = {0};
            bool good =
                health_report(program->health, probes[i].question, HEALTH_TIMEOUT_MS, &health);
            buffer_append_format(json, "{\"good\":%s,\"health\":%s}", good ? "true" : "false",
                                 health.data);
            buffer_free(&health);
            return good ? 200 : 503;
        }
    }
    return admin_fail(json, 404, slice_of("no such probe: alive, ready, read or consume"));
}

static int verbs_answer_resume(void *context, const struct admin_request *request,
                               struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    buffer_append_format(json, "{\"resumed_workers\":%zu}", ingest_resume(program->ingest));
    return 200;
}

/* ---- scripts ------------------------------------------------------------------------------- */

static bool verbs_all(struct slice text, int (*is)(int)) {
    size_t at = 0;
    while (at < text.len && is((unsigned char)text.data[at])) {
        at++;
    }
    return at == text.len;
}

/* A number, or enough digits of a hash to tell it from a number. */
static bool verbs_names_generation(struct slice text) {
    return text.len > 0 && text.len <= SCRIPT_HASH_LEN &&
           (verbs_all(text, isdigit) ||
            (text.len >= GENERATION_STORE_LEAST_DIGITS && verbs_all(text, isxdigit)));
}

struct reload_question {
    bool wanted;      /* shadow_run=true */
    bool drop;        /* drop=true */
    bool interpreted; /* interpreted=true */
    bool unknown;     /* another name or value */
    struct shadow_run_request shadow_run;
};

/* NULL, or what is wrong with it. */
static const char *verbs_read_pair(const struct script_pair *pair,
                                   struct reload_question *question) {
    int64_t number;
    bool shadow_run = slice_equal(pair->name, slice_of("shadow_run")) ||
                      slice_equal(pair->name, slice_of("canary")); /* the former name */
    if (shadow_run && slice_equal(pair->value, slice_of("true"))) {
        question->wanted = true;
    } else if (slice_equal(pair->name, slice_of("drop")) &&
               slice_equal(pair->value, slice_of("true"))) {
        question->drop = true;
    } else if (slice_equal(pair->name, slice_of("interpreted")) &&
               slice_equal(pair->value, slice_of("true"))) {
        question->interpreted = true;
    } else if (slice_equal(pair->name, slice_of("events"))) {
        if (!admin_read_number(pair->value, 1, CONFIG_CANARY_EVENTS_MAX, &number)) {
            return "events is a number from 1 to 1000000";
        }
        question->shadow_run.events = number;
    } else if (slice_equal(pair->name, slice_of("accept"))) {
        if (!admin_read_number(pair->value, 0, 100, &number)) {
            return "accept is a percentage from 0 to 100";
        }
        question->shadow_run.accept_percent = (int)number;
    } else {
        question->unknown = true;
    }
    return NULL;
}

static const char *verbs_read_question(const struct admin_request *request,
                                       struct reload_question *question) {
    const char *problem = request->param_count > 0
                              ? "unexpected argument: only name=value parameters are accepted"
                              : NULL;
    *question = (struct reload_question){.shadow_run.accept_percent = -1};
    for (size_t i = 0; !problem && i < request->query_count; i++) {
        problem = verbs_read_pair(&request->query[i], question);
    }
    return problem;
}

/* 409: nothing changed; the response says why. Unknown names are refused: a misspelt shadow_run
 * must not become a reload without a shadow run. */
static int verbs_answer_reload(void *context, const struct admin_request *request,
                               struct buffer *json) {
    struct admin_context *program = context;
    struct reload_question question;
    const char *problem = verbs_read_question(request, &question);
    if (!problem && question.unknown) {
        problem = "unknown parameter: send drop=true, shadow_run=true, events=N or accept=PERCENT";
    }
    if (!problem && !question.wanted &&
        (question.shadow_run.events > 0 || question.shadow_run.accept_percent >= 0)) {
        problem = "events and accept need shadow_run=true";
    }
    if (!problem && question.interpreted) {
        problem = "interpreted=true is for diff";
    }
    if (problem) {
        return admin_fail(json, 400, slice_of(problem));
    }
    if (upgrade_is_under_way(program->upgrade)) {
        return admin_fail(json, 409, slice_of("an upgrade is under way: reload when it has ended"));
    }
    struct reload_request reload = {question.wanted ? &question.shadow_run : NULL, question.drop};
    return reload_from_disk(program->reload, &reload, json) ? 200 : 409;
}

static int verbs_answer_diff(void *context, const struct admin_request *request,
                             struct buffer *json) {
    struct admin_context *program = context;
    struct reload_question question;
    struct err err = {0};
    const char *problem = verbs_read_question(request, &question);
    if (!problem && (question.unknown || question.wanted || question.drop ||
                     question.shadow_run.accept_percent >= 0)) {
        problem = "a diff takes events=N and interpreted=true only";
    }
    if (problem) {
        return admin_fail(json, 400, slice_of(problem));
    }
    struct reload_comparison comparison = {question.shadow_run.events, question.interpreted};
    if (!reload_diff(program->reload, &comparison, json, &err)) {
        return admin_fail(json, err.kind == ERR_INPUT ? 409 : 503, slice_of(err.text));
    }
    return 200;
}

static int verbs_answer_rollback(void *context, const struct admin_request *request,
                                 struct buffer *json) {
    struct admin_context *program = context;
    struct slice which = request->param_count > 0 ? request->params[0].value : slice_of("");
    if (request->param_count > 0 && !verbs_names_generation(which)) {
        return admin_fail(
            json, 400,
            slice_of("send the number of a generation, or eight or more digits of its "
                     "hash: aggregator status lists them"));
    }
    if (upgrade_is_under_way(program->upgrade)) { /* the new process runs the scripts on the disk */
        return admin_fail(json, 409,
                          slice_of("an upgrade is under way: roll back when it has ended"));
    }
    return reload_roll_back(program->reload, which, json) ? 200 : 409;
}

/* 404: `only` names no setting. */
static int verbs_answer_config(void *context, const struct admin_request *request,
                               struct buffer *json) {
    struct admin_context *program = context;
    struct buffer shown = {0};
    struct slice only = {0};
    struct err err = {0};
    bool changed = false;
    int status = 200;
    for (size_t i = 0; i < request->query_count; i++) {
        const struct script_pair *pair = &request->query[i];
        if (slice_equal(pair->name, slice_of("only"))) {
            only = pair->value;
        } else if (slice_equal(pair->name, slice_of("changed")) &&
                   slice_equal(pair->value, slice_of("true"))) {
            changed = true;
        } else {
            return admin_fail(json, 400, slice_of("send only=SECTION.KEY or changed=true"));
        }
    }
    if (reload_show_config(program->reload, only, changed, &shown, &err)) {
        buffer_append(json, shown.data, shown.len);
    } else {
        status = admin_fail(json, 404, slice_of(err.text));
    }
    buffer_free(&shown);
    return status;
}

static int verbs_answer_settings(void *context, const struct admin_request *request,
                                 struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    reload_pass_config(program->reload, json);
    return 200;
}

static int verbs_answer_figures(void *context, const struct admin_request *request,
                                struct buffer *json) {
    struct admin_context *program = context;
    int64_t after = 0;
    if (request->query_count > 1 ||
        (request->query_count == 1 &&
         (!slice_equal(request->query[0].name, slice_of("after")) ||
          !admin_read_number(request->query[0].value, 0, INT64_MAX, &after)))) {
        return admin_fail(json, 400, slice_of("figures take after=N only"));
    }
    figures_append(program->figures, after, json);
    return 200;
}

static int verbs_answer_partitions(void *context, const struct admin_request *request,
                                   struct buffer *json) {
    const struct admin_context *program = context;
    (void)request;
    return partitions_answer(program->config, json);
}

static int verbs_answer_script_changes(void *context, const struct admin_request *request,
                                       struct buffer *json) {
    struct admin_context *program = context;
    struct slice from = slice_of("running"), to = slice_of("disk");
    struct err err = {0};
    for (size_t i = 0; i < request->query_count; i++) {
        const struct script_pair *pair = &request->query[i];
        bool is_from = slice_equal(pair->name, slice_of("from"));
        if (!is_from && !slice_equal(pair->name, slice_of("to"))) {
            return admin_fail(json, 400, slice_of("unknown parameter: send from or to"));
        }
        if (!slice_equal(pair->value, slice_of("running")) &&
            !slice_equal(pair->value, slice_of("disk")) && !verbs_names_generation(pair->value)) {
            return admin_fail(json, 400,
                              slice_of("from and to are running, disk, the number of a "
                                       "generation, or eight or more digits of its hash"));
        }
        *(is_from ? &from : &to) = pair->value;
    }
    if (!reload_script_changes(program->reload, from, to, json, &err)) {
        return admin_fail(json, err.kind == ERR_INPUT ? 404 : 503, slice_of(err.text));
    }
    return 200;
}

/* 409: nothing changed; the response says why. */
static int verbs_answer_upgrade(void *context, const struct admin_request *request,
                                struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    return upgrade_run(program->upgrade, json) ? 200 : 409;
}

static int verbs_answer_explain(void *context, const struct admin_request *request,
                                struct buffer *json) {
    struct admin_context *program = context;
    return admin_explain(&program->explain, request, json);
}

/* The two fields of a verb's paths. */
#define PATHS(...)                                                                                 \
    (const char *const[]){__VA_ARGS__},                                                            \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

/* takes_query */
#define QUERY true
#define NO_QUERY false

static const struct admin_verb verbs_table[] = {
    {"status", "GET", "admin_status", PATHS("/admin/status"), verbs_answer_status, NO_QUERY},
    {"health", "GET", "admin_health", PATHS("/admin/health", "/admin/health/{probe}"),
     verbs_answer_health, NO_QUERY},
    {"sample", "GET", "admin_sample", NULL, 0, verbs_answer_sample, NO_QUERY}, /* the socket only */
    {"resume", "POST", "admin_resume", PATHS("/admin/resume"), verbs_answer_resume, NO_QUERY},
    {"reload", "POST", "admin_reload", PATHS("/admin/reload"), verbs_answer_reload, QUERY},
    {"diff", "POST", "admin_diff", PATHS("/admin/diff"), verbs_answer_diff, QUERY},
    {"rollback", "POST", "admin_rollback", PATHS("/admin/rollback", "/admin/rollback/{generation}"),
     verbs_answer_rollback, NO_QUERY},
    {"config", "GET", "admin_config", PATHS("/admin/config"), verbs_answer_config, QUERY},
    /* The socket only: the answer has the secrets. */
    {"settings", "GET", "admin_settings", NULL, 0, verbs_answer_settings, NO_QUERY},
    {NULL, "GET", "admin_partitions", PATHS("/admin/partitions"), verbs_answer_partitions,
     NO_QUERY},
    {NULL, "GET", "admin_script_changes", PATHS("/admin/script-changes"),
     verbs_answer_script_changes, QUERY},
    {NULL, "GET", "admin_tap", PATHS("/admin/tap"), tap_verbs_read, QUERY},
    {NULL, "POST", "admin_tap_start", PATHS("/admin/tap/start"), tap_verbs_start, QUERY},
    {NULL, "POST", "admin_tap_stop", PATHS("/admin/tap/stop"), tap_verbs_stop, NO_QUERY},
    {NULL, "GET", "admin_rejected", PATHS("/admin/rejected"), stored_verbs_list_rejected, QUERY},
    {NULL, "GET", "admin_rejected_event", PATHS("/admin/rejected/event"),
     stored_verbs_read_rejected, QUERY},
    {NULL, "POST", "admin_rejected_drop", PATHS("/admin/rejected/drop"), stored_verbs_drop_rejected,
     QUERY},
    {NULL, "POST", "admin_rejected_retry", PATHS("/admin/rejected/retry"),
     stored_verbs_retry_rejected, QUERY},
    {NULL, "GET", "admin_outbox", PATHS("/admin/outbox"), stored_verbs_list_messages, QUERY},
    {NULL, "GET", "admin_outbox_message", PATHS("/admin/outbox/message"), stored_verbs_read_message,
     QUERY},
    {NULL, "POST", "admin_outbox_retry", PATHS("/admin/outbox/retry"), stored_verbs_retry_messages,
     QUERY},
    {NULL, "POST", "admin_outbox_drop", PATHS("/admin/outbox/drop"), stored_verbs_drop_messages,
     QUERY},
    {NULL, "GET", "admin_figures", PATHS("/admin/figures"), verbs_answer_figures, QUERY},
    {"upgrade", "POST", "admin_upgrade", PATHS("/admin/upgrade"), verbs_answer_upgrade, NO_QUERY},
    /* HTTP only: the command `aggregator explain` does its own work. */
    {NULL, "GET", "admin_explain", PATHS("/admin/explain/{id}", "/admin/explain/{word}/{id}"),
     verbs_answer_explain, QUERY},
};

const struct admin_verb *admin_verbs(size_t *count) {
    *count = sizeof verbs_table / sizeof *verbs_table;
    return verbs_table;
}

#include "verbs.h"

#include <ctype.h>

#include "../reload/store.h"
#include "fleet.h"

#define HEALTH_TIMEOUT_MS 5000

static int answer_status(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    struct buffer health = {0};
    (void)request;
    bool ready = health_report(program->health, HEALTH_READY, HEALTH_TIMEOUT_MS, &health);
    buffer_append_text(json, "{");
    json_put_int(json, "port", http_port(program->http));
    json_put_bool(json, "ready", ready);
    json_put_name(json, "health");
    buffer_append(json, health.data, health.len);
    json_put_name(json, "generations");
    reload_list(program->reload, json);
    json_put_name(json, "partitions_handled_by");
    if (ready) {
        fleet_append(program->config, json);
    } else {
        buffer_append_text(json, "null"); /* nobody who asks why should wait */
    }
    buffer_append_text(json, "}");
    buffer_free(&health);
    return 200;
}

static bool all(struct slice text, int (*is)(int)) {
    size_t at = 0;
    while (at < text.len && is((unsigned char)text.data[at])) {
        at++;
    }
    return at == text.len;
}

/* Its number, or so much of its hash that it can be told from numbers. */
static bool names_generation(struct slice text) {
    return text.len > 0 && text.len <= SCRIPT_HASH_LEN &&
           (all(text, isdigit) || (text.len >= STORE_LEAST_DIGITS && all(text, isxdigit)));
}

static int answer_resume(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    buffer_append_format(json, "{\"resumed_workers\":%zu}", ingest_resume(program->ingest));
    return 200;
}

/* 409: nothing was changed; the answer says why. */
static int answer_reload(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    return reload_from_disk(program->reload, json) ? 200 : 409;
}

static int answer_rollback(void *context, const struct admin_request *request,
                           struct buffer *json) {
    struct admin_context *program = context;
    struct slice which = request->param_count > 0 ? request->params[0].value : slice_of("");
    if (request->param_count > 0 && !names_generation(which)) {
        return admin_fail(json, 400,
                          slice_of("say the number of a generation, or eight or more "
                                   "digits of its hash: see status"));
    }
    return reload_roll_back(program->reload, which, json) ? 200 : 409;
}

static int answer_explain(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    return admin_explain(&program->explain, request, json);
}

const struct admin_verb *admin_verbs(size_t *count) {
    static const char *const status_paths[] = {"/admin/status"};
    static const char *const resume_paths[] = {"/admin/resume"};
    static const char *const reload_paths[] = {"/admin/reload"};
    static const char *const rollback_paths[] = {"/admin/rollback", "/admin/rollback/{generation}"};
    static const char *const explain_paths[] = {"/admin/explain/{id}",
                                                "/admin/explain/{word}/{id}"};
    static const struct admin_verb verbs[] = {
        {"status", "GET", "admin_status", status_paths, 1, answer_status},
        {"resume", "POST", "admin_resume", resume_paths, 1, answer_resume},
        {"reload", "POST", "admin_reload", reload_paths, 1, answer_reload},
        {"rollback", "POST", "admin_rollback", rollback_paths, 2, answer_rollback},
        /* Over HTTP only: the command makes its explanations itself. */
        {NULL, "GET", "admin_explain", explain_paths, 2, answer_explain},
    };
    *count = sizeof verbs / sizeof *verbs;
    return verbs;
}

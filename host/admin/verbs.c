#include "verbs.h"

#include <stdlib.h>

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
    json_put_name(json, "before_start");
    presence_append_before(program->presence, json);
    /* Nobody who asks why it is not ready should wait for the database. */
    fleet_append(program->config, presence_instance(program->presence), ready, json);
    buffer_append_text(json, "}");
    buffer_free(&health);
    return 200;
}

static bool read_number(struct slice text, uint64_t *number) {
    char digits[20] = "";
    char *end;
    if (text.len == 0 || text.len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    *number = strtoull(digits, &end, 10);
    return *end == '\0' && *number > 0;
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
    uint64_t number = 0;
    if (request->param_count > 0 && !read_number(request->params[0].value, &number)) {
        return admin_fail(json, 400, slice_of("say the number of a generation"));
    }
    return reload_roll_back(program->reload, number, json) ? 200 : 409;
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

#include "verbs.h"

#define HEALTH_TIMEOUT_MS 5000

static int answer_status(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    struct buffer health = {0};
    (void)request;
    bool ready = health_report(program->health, HEALTH_READY, HEALTH_TIMEOUT_MS, &health);
    buffer_append_format(json, "{\"port\":%d,\"ready\":%s,\"health\":", http_port(program->http),
                         ready ? "true" : "false");
    buffer_append(json, health.data, health.len);
    buffer_append_text(json, "}");
    buffer_free(&health);
    return 200;
}

static int answer_resume(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    (void)request;
    buffer_append_format(json, "{\"resumed_workers\":%zu}", ingest_resume(program->ingest));
    return 200;
}

static int answer_explain(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    return admin_explain(&program->explain, request, json);
}

const struct admin_verb *admin_verbs(size_t *count) {
    static const char *const status_paths[] = {"/admin/status"};
    static const char *const resume_paths[] = {"/admin/resume"};
    static const char *const explain_paths[] = {"/admin/explain/{id}",
                                                "/admin/explain/{word}/{id}"};
    static const struct admin_verb verbs[] = {
        {"status", "GET", "admin_status", status_paths, 1, answer_status},
        {"resume", "POST", "admin_resume", resume_paths, 1, answer_resume},
        /* Over HTTP only: the command makes its explanations itself. */
        {NULL, "GET", "admin_explain", explain_paths, 2, answer_explain},
    };
    *count = sizeof verbs / sizeof *verbs;
    return verbs;
}

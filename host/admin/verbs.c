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

/* ---- scripts ------------------------------------------------------------------------------- */

/* What a reload or a diff may be asked with. */
struct canary_question {
    bool wanted; /* canary=true */
    struct canary_request canary;
};

/* NULL, or what is wrong with it. What is not known is refused: a canary that was misspelt must not
 * become a reload without one. */
static const char *read_pair(const struct script_pair *pair, struct canary_question *question) {
    uint64_t number;
    if (slice_equal(pair->name, slice_of("canary")) && slice_equal(pair->value, slice_of("true"))) {
        question->wanted = true;
    } else if (slice_equal(pair->name, slice_of("events"))) {
        if (!read_number(pair->value, &number) || number > CANARY_EVENTS_MAX) {
            return "events is a number from 1 to 1000000";
        }
        question->canary.events = (int64_t)number;
    } else if (slice_equal(pair->name, slice_of("accept"))) {
        bool none = slice_equal(pair->value, slice_of("0"));
        if (!none && (!read_number(pair->value, &number) || number > 100)) {
            return "accept is a number of percent from 0 to 100";
        }
        question->canary.accept_percent = none ? 0 : (int)number;
    } else {
        return "only canary=true, events=N and accept=PERCENT may be said";
    }
    return NULL;
}

static const char *read_question(const struct admin_request *request,
                                 struct canary_question *question) {
    const char *problem = request->param_count > 0 ? "it takes no further word" : NULL;
    *question = (struct canary_question){.canary.accept_percent = -1};
    for (size_t i = 0; !problem && i < request->query_count; i++) {
        problem = read_pair(&request->query[i], question);
    }
    return problem;
}

/* 409: nothing was changed; the answer says why. */
static int answer_reload(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    struct canary_question question;
    const char *problem = read_question(request, &question);
    if (!problem && !question.wanted && request->query_count > 0) {
        problem = "events and accept are of a canary: say canary=true, too";
    }
    if (problem) {
        return admin_fail(json, 400, slice_of(problem));
    }
    return reload_from_disk(program->reload, question.wanted ? &question.canary : NULL, json) ? 200
                                                                                              : 409;
}

static int answer_diff(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_context *program = context;
    struct canary_question question;
    struct err err = {0};
    const char *problem = read_question(request, &question);
    if (!problem && (question.wanted || question.canary.accept_percent >= 0)) {
        problem = "a diff takes events=N only";
    }
    if (problem) {
        return admin_fail(json, 400, slice_of(problem));
    }
    if (!reload_diff(program->reload, question.canary.events, json, &err)) {
        return admin_fail(json, err.kind == ERR_INPUT ? 409 : 503, slice_of(err.text));
    }
    return 200;
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
    static const char *const diff_paths[] = {"/admin/diff"};
    static const char *const rollback_paths[] = {"/admin/rollback", "/admin/rollback/{generation}"};
    static const char *const explain_paths[] = {"/admin/explain/{id}",
                                                "/admin/explain/{word}/{id}"};
    static const struct admin_verb verbs[] = {
        {"status", "GET", "admin_status", status_paths, 1, answer_status},
        {"resume", "POST", "admin_resume", resume_paths, 1, answer_resume},
        {"reload", "POST", "admin_reload", reload_paths, 1, answer_reload},
        {"diff", "GET", "admin_diff", diff_paths, 1, answer_diff},
        {"rollback", "POST", "admin_rollback", rollback_paths, 2, answer_rollback},
        /* Over HTTP only: the command makes its explanations itself. */
        {NULL, "GET", "admin_explain", explain_paths, 2, answer_explain},
    };
    *count = sizeof verbs / sizeof *verbs;
    return verbs;
}

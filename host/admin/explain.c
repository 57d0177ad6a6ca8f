#include "explain.h"

#include "base/log.h"
#include "base/subprocess.h"

#define TIMEOUT_MS 120000
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)
#define WRONG_USAGE 2 /* the exit status of a question that cannot be answered */
#define MESSAGE "aggregator: "
#define ARGUMENTS_MAX 16

/* Arguments for the child; texts are the request's or copies in `texts`. */
struct arguments {
    const char *items[ARGUMENTS_MAX];
    size_t count;
    struct buffer texts[4];
    size_t text_count;
};

static void admin_explain_add(struct arguments *arguments, const char *text) {
    arguments->items[arguments->count++] = text;
}

static void admin_explain_add_copy(struct arguments *arguments, struct slice text) {
    struct buffer *copy = &arguments->texts[arguments->text_count++];
    buffer_append(copy, text.data, text.len);
    admin_explain_add(arguments, copy->data);
}

static void admin_explain_free_arguments(struct arguments *arguments) {
    for (size_t i = 0; i < arguments->text_count; i++) {
        buffer_free(&arguments->texts[i]);
    }
}

/* NULL, or why the query is not acceptable. */
static const char *admin_explain_add_options(struct arguments *arguments,
                                             const struct admin_request *request) {
    for (size_t i = 0; i < request->query_count; i++) {
        const struct script_pair *pair = &request->query[i];
        if (slice_equal(pair->name, slice_of("table"))) {
            admin_explain_add(arguments, "--table");
        } else if (slice_equal(pair->name, slice_of("since"))) {
            admin_explain_add(arguments, "--since");
        } else {
            return "Only table and since may be asked for";
        }
        admin_explain_add_copy(arguments, pair->value);
    }
    return NULL;
}

/* What the command has complained about: its last line that is no log line. */
static struct slice admin_explain_complaint(const struct buffer *errors) {
    struct slice found = slice_of("it failed without a word");
    for (const char *at = errors->data; at && (at = strstr(at, MESSAGE)); at++) {
        if (at == errors->data || at[-1] == '\n') {
            found = (struct slice){at + sizeof MESSAGE - 1, strcspn(at, "\n") - sizeof MESSAGE + 1};
        }
    }
    return found;
}

static int admin_explain_run(struct admin_explain *explain, const struct arguments *arguments,
                             struct buffer *json) {
    struct subprocess_options options = {arguments->items, TIMEOUT_MS, explain->stop_fd,
                                         ANSWER_MAX_BYTES};
    struct buffer output = {0}, errors = {0};
    struct err err = {0};
    int status, answer = 200;
    if (!subprocess_run(&options, &output, &errors, &status, &err)) {
        log_error("no explanation could be made", LOG_TEXT("error", err.text));
        answer = admin_fail(json, err.kind == ERR_INTERNAL ? 500 : 503, slice_of(err.text));
    } else if (status != 0) {
        answer =
            admin_fail(json, status == WRONG_USAGE ? 400 : 503, admin_explain_complaint(&errors));
    } else {
        buffer_append(json, output.data, output.len);
    }
    buffer_free(&output);
    buffer_free(&errors);
    return answer;
}

int admin_explain(struct admin_explain *explain, const struct admin_request *request,
                  struct buffer *json) {
    struct arguments arguments = {.items = {"explain", "--config", explain->config_path, "--json"},
                                  .count = 4};
    if (pthread_mutex_trylock(&explain->busy) != 0) {
        return admin_fail(json, 503, slice_of("Another explanation is being made"));
    }
    int status;
    const char *problem = admin_explain_add_options(&arguments, request);
    if (problem) {
        status = admin_fail(json, 400, slice_of(problem));
    } else {
        admin_explain_add(&arguments, "--"); /* an id may look like an option */
        for (size_t i = 0; i < request->param_count; i++) {
            admin_explain_add_copy(&arguments, request->params[i].value);
        }
        status = admin_explain_run(explain, &arguments, json);
    }
    admin_explain_free_arguments(&arguments);
    pthread_mutex_unlock(&explain->busy);
    return status;
}

#include "explain.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/subprocess.h"
#include "base/xalloc.h"

#define TIMEOUT_MS 120000
#define OUTPUT_MAX_BYTES (64 * 1024 * 1024)
#define WRONG_USAGE 2 /* exit status */
#define MESSAGE "aggregator: "
#define ARGUMENTS_MAX 16

struct arguments {
    const char *items[ARGUMENTS_MAX]; /* owned */
    size_t count;
};

static void admin_explain_add(struct arguments *arguments, struct slice text) {
    arguments->items[arguments->count++] = xstrndup(text.data, text.len);
}

/* NULL, or why the query is not acceptable. */
static const char *admin_explain_add_options(struct arguments *arguments,
                                             const struct admin_request *request) {
    for (size_t i = 0; i < request->query_count; i++) {
        const struct script_pair *pair = &request->query[i];
        bool table = slice_equal(pair->name, slice_of("table"));
        if (!table && !slice_equal(pair->name, slice_of("since"))) {
            return "unknown parameter: send table or since";
        }
        admin_explain_add(arguments, slice_of(table ? "--table" : "--since"));
        admin_explain_add(arguments, pair->value);
    }
    return NULL;
}

/* The child's last error line, without its prefix. */
static struct slice admin_explain_last_error(const struct buffer *errors) {
    struct slice found = slice_of("aggregator explain failed without an error text: see the log");
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
                                         OUTPUT_MAX_BYTES};
    struct buffer output = {0}, errors = {0};
    struct err err = {0};
    int exit_status, status = 200;
    if (!subprocess_run(&options, &output, &errors, &exit_status, &err)) {
        log_error("aggregator explain failed", LOG_TEXT("error", err.text));
        status = admin_fail(json, err.kind == ERR_INTERNAL ? 500 : 503, slice_of(err.text));
    } else if (exit_status != 0) {
        status = admin_fail(json, exit_status == WRONG_USAGE ? 400 : 503,
                            admin_explain_last_error(&errors));
    } else {
        buffer_append(json, output.data, output.len);
    }
    buffer_free(&output);
    buffer_free(&errors);
    return status;
}

int admin_explain(struct admin_explain *explain, const struct admin_request *request,
                  struct buffer *json) {
    const char *const first[] = {"explain", "--config", explain->config_path, "--json"};
    struct arguments arguments = {0};
    int status;
    if (pthread_mutex_trylock(&explain->busy) != 0) {
        return admin_fail(json, 503, slice_of("another explain is running: try again later"));
    }
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        admin_explain_add(&arguments, slice_of(first[i]));
    }
    const char *problem = admin_explain_add_options(&arguments, request);
    if (problem) {
        status = admin_fail(json, 400, slice_of(problem));
    } else {
        admin_explain_add(&arguments, slice_of("--")); /* an id may look like an option */
        for (size_t i = 0; i < request->param_count; i++) {
            admin_explain_add(&arguments, request->params[i].value);
        }
        status = admin_explain_run(explain, &arguments, json);
    }
    while (arguments.count > 0) {
        free((char *)arguments.items[--arguments.count]);
    }
    pthread_mutex_unlock(&explain->busy);
    return status;
}

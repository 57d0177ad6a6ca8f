#include "child.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/subprocess.h"
#include "base/xalloc.h"

#define OUTPUT_MAX_BYTES (64 * 1024 * 1024)
#define WRONG_USAGE 2 /* exit status */
#define MESSAGE "aggregator: "

struct arguments {
    const char **items; /* owned, with their texts; NULL-terminated */
    size_t count;
};

static void admin_child_add(struct arguments *arguments, struct slice text) {
    arguments->items = xrealloc(arguments->items, (arguments->count + 2) * sizeof(char *));
    arguments->items[arguments->count++] = xstrndup(text.data, text.len);
    arguments->items[arguments->count] = NULL;
}

static void admin_child_free(struct arguments *arguments) {
    while (arguments->count > 0) {
        free((char *)arguments->items[--arguments->count]);
    }
    free(arguments->items);
}

static struct slice admin_child_last_line(const struct buffer *errors) {
    struct slice text = buffer_slice(errors);
    while (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    const char *feed = text.len > 0 ? memrchr(text.data, '\n', text.len) : NULL;
    size_t skipped = feed ? (size_t)(feed + 1 - text.data) : 0;
    return (struct slice){text.data + skipped, text.len - skipped};
}

const char *admin_child_error(struct buffer *errors) {
    struct slice found = admin_child_last_line(errors);
    for (char *at = errors->data; at && (at = strstr(at, MESSAGE)); at++) {
        if (at == errors->data || at[-1] == '\n') {
            found = (struct slice){at + sizeof MESSAGE - 1, strcspn(at, "\n") - sizeof MESSAGE + 1};
        }
    }
    if (found.len == 0) {
        return "the command failed without an error text: see the log";
    }
    errors->data[found.data + found.len - errors->data] = '\0';
    return found.data;
}

static int admin_child_wait(struct admin_child *child, const struct arguments *arguments,
                            struct buffer *output, struct buffer *json) {
    struct subprocess_options options = {
        .arguments = arguments->items,
        .timeout_ms = child->timeout_ms,
        .stop_fd = child->stop_fd,
        .output_max_bytes = OUTPUT_MAX_BYTES,
    };
    struct buffer errors = {0};
    struct err err = {0};
    int exit_status, status = 200;
    if (!subprocess_run(&options, output, &errors, &exit_status, &err)) {
        log_error("a command of an admin request failed", LOG_TEXT("command", child->command[0]),
                  LOG_TEXT("error", err.text));
        status = admin_fail(json, err.kind == ERR_INTERNAL ? 500 : 503, slice_of(err.text));
    } else if (exit_status != 0) {
        status = admin_fail(json, exit_status == WRONG_USAGE ? 400 : 503,
                            slice_of(admin_child_error(&errors)));
    }
    buffer_free(&errors);
    return status;
}

int admin_child_run(struct admin_child *child, const struct slice *options, size_t option_count,
                    const struct slice *words, size_t word_count, struct buffer *output,
                    struct buffer *json) {
    struct arguments arguments = {0};
    if (pthread_mutex_trylock(&child->busy) != 0) {
        char busy[128];
        snprintf(busy, sizeof busy, "another %s is running: try again later",
                 child->command[1] ? child->command[1] : child->command[0]);
        return admin_fail(json, 503, slice_of(busy));
    }
    for (size_t i = 0; child->command[i]; i++) {
        admin_child_add(&arguments, slice_of(child->command[i]));
    }
    admin_child_add(&arguments, slice_of("--config"));
    admin_child_add(&arguments, slice_of(child->config_path));
    for (size_t i = 0; i < option_count; i++) {
        admin_child_add(&arguments, options[i]);
    }
    admin_child_add(&arguments, slice_of("--")); /* a word may look like an option */
    for (size_t i = 0; i < word_count; i++) {
        admin_child_add(&arguments, words[i]);
    }
    int status = admin_child_wait(child, &arguments, output, json);
    admin_child_free(&arguments);
    pthread_mutex_unlock(&child->busy);
    return status;
}

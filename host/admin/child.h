/* child: runs a command of this program as a child process and returns its output: for work that
 * takes long or much memory. One at a time of each kind. */
#pragma once

#include <pthread.h>

#include "verb.h"

struct admin_child {
    const char *command[3]; /* "rejected", "retry"; NULL-terminated */
    const char *config_path;
    int timeout_ms;
    int stop_fd; /* readable once the program stops */
    pthread_mutex_t busy;
};

/* Runs it with --config, the options and, behind "--", the words. Appends its standard output to
 * *output and returns 200, or appends the error to the JSON and returns its status: 503 if another
 * one runs. */
int admin_child_run(struct admin_child *child, const struct slice *options, size_t option_count,
                    const struct slice *words, size_t word_count, struct buffer *output,
                    struct buffer *json);

/* The last line that the program began with its name, without the name, or else the last line of a
 * child's standard error, which is cut behind it. */
const char *admin_child_error(struct buffer *errors);

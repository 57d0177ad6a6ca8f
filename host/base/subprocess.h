/* subprocess: runs this program as a child process, for work that must not share memory, metrics or
 * crashes with the service. Blocks the calling thread. The child never outlives this process. */
#pragma once

#include <sys/types.h>

#include "buffer.h"
#include "err.h"

struct subprocess_options {
    const char *const *arguments; /* after the program's name; NULL-terminated */
    int timeout_ms;
    int stop_fd;             /* readable: kill the child; -1: never */
    size_t output_max_bytes; /* of what take_output leaves */
    /* Called whenever output came, and may remove its beginning; NULL: nobody. */
    void (*take_output)(void *context, struct buffer *output);
    void *context;
};

/* Runs it with an empty standard input. Appends its standard output and the last 8 KiB of its
 * standard error. True: it exited with *status. False: it did not start (ERR_INTERNAL), timed out
 * (ERR_TIMEOUT), wrote too much (ERR_INPUT), was stopped or died by a signal (ERR_UNAVAILABLE). */
bool subprocess_run(const struct subprocess_options *options, struct buffer *output,
                    struct buffer *errors, int *status, struct err *err);

/* In a forked child: SIGKILL ends it when the thread that forked it ends. */
void subprocess_end_with(pid_t parent);

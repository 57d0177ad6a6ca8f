/* subprocess: this very program once more, for work that must not share the service's memory,
 * metrics and fate. Blocks the calling thread. The child does not outlive this process, however
 * that ends. */
#ifndef AGG_HOST_BASE_SUBPROCESS_H
#define AGG_HOST_BASE_SUBPROCESS_H

#include <sys/types.h>

#include "buffer.h"
#include "err.h"

struct subprocess_options {
    const char *const *arguments; /* behind the program's name; NULL-terminated */
    int timeout_ms;
    int stop_fd; /* readable once the child shall be killed; -1: never */
    size_t output_max_bytes;
};

/* Runs it to its end with an empty standard input. Appends what it wrote to standard output, and of
 * standard error the last kilobytes. True: it ended by itself, with *status. False: it could not be
 * started (ERR_INTERNAL), was killed because time was up (ERR_TIMEOUT), its output was too long
 * (ERR_INPUT) or it should stop, or it died by a signal (ERR_UNAVAILABLE). */
bool subprocess_run(const struct subprocess_options *options, struct buffer *output,
                    struct buffer *errors, int *status, struct err *err);

/* In a child that was forked: it ends, by SIGKILL, with the thread that forked it, however that
 * ends. */
void subprocess_end_with(pid_t parent);

#endif

/* progress: shows on standard error how far the log is read: each second on a terminal, in a line
 * that is overwritten, else every five seconds. One thread. */
#pragma once

#include "log_reader.h"

struct progress {
    const char *what; /* "reading the log" */
    bool terminal;
    int64_t started_us;
    int64_t next_us;
};

void progress_start(struct progress *progress, const char *what);
/* After each record: prints when a line is due. */
void progress_update(struct progress *progress, const struct log_reader *reader);
/* Prints the last state. */
void progress_end(struct progress *progress, const struct log_reader *reader);

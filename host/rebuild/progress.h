/* progress: how far a long reading of the log is, once a second on a terminal (one line that is
 * overwritten), every five seconds elsewhere. To standard error. One thread. */
#ifndef AGG_HOST_REBUILD_PROGRESS_H
#define AGG_HOST_REBUILD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "reading the log" */
    bool terminal;
    int64_t started_us;
    int64_t next_us;
};

void progress_start(struct progress *progress, const char *what);
/* May be called as often as one likes. */
void progress_tell(struct progress *progress, int64_t done, int64_t total);
/* Says the last state. */
void progress_end(struct progress *progress, int64_t done, int64_t total);

#endif

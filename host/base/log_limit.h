/* log_limit: how many lines of one kind the log gets. Of each ten seconds the first ten are
 * written; the others are counted, and one line says how many there were. Pure: the caller brings
 * the time and a lock. */
#ifndef AGG_HOST_BASE_LOG_LIMIT_H
#define AGG_HOST_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LIMIT_LINES 10
#define LOG_LIMIT_WINDOW_US 10000000

struct log_limit {         /* begin: {0} */
    int64_t window_end_us; /* of the monotonic clock */
    size_t lines;          /* written in the window */
    size_t left_out;       /* since log_limit_take */
};

/* Whether a line may be written now; else it is counted. A window begins with its first line. */
bool log_limit_admits(struct log_limit *limit, int64_t now_us);
/* The lines left out of a window that has ended; forgets them. 0: none, or it has not ended. */
size_t log_limit_take(struct log_limit *limit, int64_t now_us);

#endif

/* log_limit: rate limit of one kind of log line: 10 in 10 seconds, the others are counted. Pure:
 * the caller passes the time and locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LIMIT_LINES 10
#define LOG_LIMIT_WINDOW_US 10000000

struct log_limit {         /* begin: {0} */
    int64_t window_end_us; /* monotonic */
    size_t lines;          /* written in the window */
    size_t left_out;       /* since log_limit_take */
};

/* True: write the line. False: it is counted. A window begins with its first line. */
bool log_limit_admits(struct log_limit *limit, int64_t now_us);
/* Returns and clears the count of lines left out; 0 until the window has ended. */
size_t log_limit_take(struct log_limit *limit, int64_t now_us);

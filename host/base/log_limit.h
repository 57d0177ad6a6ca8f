/* log_limit: rate limit of one kind of log line: 10 in 10 seconds, the others are counted. The
 * first line of each distinct mistake is written above it, too. Pure: the caller passes the time
 * and locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

#define LOG_LIMIT_LINES 10
#define LOG_LIMIT_MISTAKES 16 /* remembered in a window */
#define LOG_LIMIT_WINDOW_US 10000000

struct log_limit {                         /* begin: {0} */
    int64_t window_end_us;                 /* monotonic */
    size_t lines;                          /* written in the window */
    size_t left_out;                       /* since log_limit_take */
    uint64_t mistakes[LOG_LIMIT_MISTAKES]; /* of the window: hashes of their places or texts */
    size_t mistake_count;
};

/* True: write the line. False: it is counted. A window begins with its first line. */
bool log_limit_admits(struct log_limit *limit, int64_t now_us);
/* The same for an error of a script, whose place ("…/x.lua:7") tells one mistake from another, or
 * else its first line: a mistake that the window has not had is written in any case. Text without
 * data: as log_limit_admits. */
bool log_limit_admits_mistake(struct log_limit *limit, int64_t now_us, struct slice text);
/* Returns and clears the count of lines left out; 0 until the window has ended. */
size_t log_limit_take(struct log_limit *limit, int64_t now_us);

#include "log_limit.h"

bool log_limit_admits(struct log_limit *limit, int64_t now_us) {
    if (now_us >= limit->window_end_us) {
        limit->window_end_us = now_us + LOG_LIMIT_WINDOW_US;
        limit->lines = 0;
    }
    if (limit->lines < LOG_LIMIT_LINES) {
        limit->lines++;
        return true;
    }
    limit->left_out++;
    return false;
}

size_t log_limit_take(struct log_limit *limit, int64_t now_us) {
    if (now_us < limit->window_end_us) {
        return 0;
    }
    size_t left_out = limit->left_out;
    limit->left_out = 0;
    return left_out;
}

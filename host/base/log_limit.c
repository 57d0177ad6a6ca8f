#include "log_limit.h"

#include <ctype.h>

#include "hash.h"

static void log_limit_turn(struct log_limit *limit, int64_t now_us) {
    if (now_us >= limit->window_end_us) {
        limit->window_end_us = now_us + LOG_LIMIT_WINDOW_US;
        limit->lines = 0;
        limit->mistake_count = 0;
    }
}

static size_t log_limit_count_digits(const char *from, const char *end) {
    const char *at = from;
    while (at < end && isdigit((unsigned char)*at)) {
        at++;
    }
    return (size_t)(at - from);
}

/* Up to the first place in a script, or the first line. */
static struct slice log_limit_cut(struct slice text) {
    static const char ending[] = ".lua:";
    const char *stop = memchr(text.data, '\n', text.len);
    const char *end = stop ? stop : text.data + text.len;
    const char *at = text.data;
    while ((at = memmem(at, (size_t)(end - at), ending, sizeof ending - 1))) {
        at += sizeof ending - 1;
        size_t digits = log_limit_count_digits(at, end);
        if (digits > 0) {
            return (struct slice){text.data, (size_t)(at - text.data) + digits};
        }
    }
    return (struct slice){text.data, (size_t)(end - text.data)};
}

/* Remembers the mistake. False: the window has had it, or too many. */
static bool log_limit_is_new(struct log_limit *limit, struct slice text) {
    uint64_t hash = hash64(log_limit_cut(text));
    for (size_t i = 0; i < limit->mistake_count; i++) {
        if (limit->mistakes[i] == hash) {
            return false;
        }
    }
    if (limit->mistake_count == LOG_LIMIT_MISTAKES) {
        return false;
    }
    limit->mistakes[limit->mistake_count++] = hash;
    return true;
}

bool log_limit_admits_mistake(struct log_limit *limit, int64_t now_us, struct slice text) {
    log_limit_turn(limit, now_us);
    return (text.data && log_limit_is_new(limit, text)) || log_limit_admits(limit, now_us);
}

bool log_limit_admits(struct log_limit *limit, int64_t now_us) {
    log_limit_turn(limit, now_us);
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

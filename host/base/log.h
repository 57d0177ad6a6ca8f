/* log: lines of JSON or text on standard error, without secrets (redact.h). Any thread. If standard
 * error blocks, one line waits 200 ms, then lines are dropped, counted and reported later. */
#pragma once

#include <stdint.h>

#include "slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *key;
    bool is_integer;
    int64_t integer;
    struct slice text; /* data NULL: the line has no such field */
    bool is_bare;      /* the text is a JSON number, true or false: no quotes */
};

bool log_level_parse(const char *name, enum log_level *level); /* "DEBUG", "info", … */
void log_configure(enum log_level level, bool as_text);
bool log_enabled(enum log_level level);

/* Of the calling thread: an id for each of its lines; empty or absent: none. */
void log_set_correlation_id(struct slice correlation_id);
void log_set_trace_id(struct slice trace_id);
/* Of the calling thread: while it is muted its lines are discarded. */
void log_mute(bool muted);

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

#define LOG_TEXT(k, v) ((struct log_field){.key = (k), .text = slice_of(v)})
#define LOG_SLICE(k, v) ((struct log_field){.key = (k), .text = (v)})
#define LOG_BARE(k, v) ((struct log_field){.key = (k), .text = slice_of(v), .is_bare = true})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .is_integer = true, .integer = (v)})
/* log_info("consumer started", LOG_TEXT("group", group), LOG_INT("workers", n)) */
#define LOG_AT(level, message, ...)                                                                \
    do {                                                                                           \
        struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};                                     \
        log_write((level), (message), log_fields_ + 1,                                             \
                  sizeof log_fields_ / sizeof *log_fields_ - 1);                                   \
    } while (0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warning(...) LOG_AT(LOG_WARNING, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)

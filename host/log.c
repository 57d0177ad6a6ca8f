#include "log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "timestamp.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static _Atomic int minimum_level = LOG_INFO;
static _Atomic bool text_format;
static _Thread_local char correlation[129];

bool log_level_parse(const char *name, enum log_level *level) {
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    if (strcasecmp(name, "critical") == 0 || strcasecmp(name, "warn") == 0) {
        *level = strcasecmp(name, "warn") == 0 ? LOG_WARNING : LOG_ERROR;
        return true;
    }
    return false;
}

void log_configure(enum log_level level, bool as_text) {
    atomic_store(&minimum_level, level);
    atomic_store(&text_format, as_text);
}

bool log_enabled(enum log_level level) {
    return (int)level >= atomic_load_explicit(&minimum_level, memory_order_relaxed);
}

void log_set_correlation_id(const char *correlation_id) {
    snprintf(correlation, sizeof correlation, "%s", correlation_id);
}

static void append_field(struct buffer *line, const struct log_field *field, bool as_text) {
    if (!field->key || (!field->is_integer && !field->text.data)) {
        return;
    }
    buffer_append_format(line, as_text ? " %s=" : ",\"%s\":", field->key);
    if (field->is_integer) {
        buffer_append_format(line, "%lld", (long long)field->integer);
    } else if (field->is_bare) {
        buffer_append(line, field->text.data, field->text.len);
    } else {
        buffer_append_json_string(line, field->text);
    }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count) {
    if (!log_enabled(level)) {
        return;
    }
    struct buffer line = {0};
    char time[TIMESTAMP_TEXT_CAP];
    bool as_text = atomic_load_explicit(&text_format, memory_order_relaxed);
    timestamp_format(clock_wall_us(), time);
    if (as_text) {
        buffer_append_format(&line, "%s %-7s %s", time, level_names[level], message);
    } else {
        buffer_append_format(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time,
                             level_names[level]);
        buffer_append_json_string(&line, slice_of(message));
    }
    if (correlation[0]) {
        struct log_field field = LOG_TEXT("correlation_id", correlation);
        append_field(&line, &field, as_text);
    }
    for (size_t i = 0; i < count; i++) {
        append_field(&line, &fields[i], as_text);
    }
    buffer_append_text(&line, as_text ? "\n" : "}\n");
    /* One write a line: lines of several threads do not mix. A full pipe or a closed standard
     * error must not stop the service. */
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.data, line.len);
    } while (written < 0 && errno == EINTR);
    buffer_free(&line);
}

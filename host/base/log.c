#include "log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "log_recent.h"
#include "redact.h"
#include "terminal.h"
#include "timestamp.h"

#define STUCK_AFTER_MS 200

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static _Atomic int minimum_level = LOG_INFO;
static _Atomic bool text_format;
static _Thread_local char correlation[129];
static _Thread_local char trace[33];
static _Thread_local bool is_muted;

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
    return !is_muted && (int)level >= atomic_load_explicit(&minimum_level, memory_order_relaxed);
}

static void log_bind_id(char *bound, size_t cap, struct slice id) {
    size_t len = id.len < cap - 1 ? id.len : cap - 1;
    if (len > 0) {
        memcpy(bound, id.data, len);
    }
    bound[len] = '\0';
}

void log_set_correlation_id(struct slice correlation_id) {
    log_bind_id(correlation, sizeof correlation, correlation_id);
}

void log_set_trace_id(struct slice trace_id) {
    log_bind_id(trace, sizeof trace, trace_id);
}

void log_mute(bool muted) {
    is_muted = muted;
}

static void log_append_field(struct buffer *line, const struct log_field *field, bool as_text) {
    if (!field->key || (!field->is_integer && !field->text.data)) {
        return;
    }
    buffer_append_format(line, as_text ? " %s=" : ",\"%s\":", field->key);
    if (field->is_integer) {
        buffer_append_format(line, "%lld", (long long)field->integer);
        return;
    }
    struct buffer clean = {0};
    redact_append(&clean, field->text);
    if (field->is_bare) {
        buffer_append(line, clean.data, clean.len);
    } else {
        buffer_append_json_string(line, buffer_slice(&clean));
    }
    buffer_free(&clean);
}

static void log_append_bound_id(struct buffer *line, const char *key, const char *id,
                                bool as_text) {
    if (id[0]) {
        struct log_field field = LOG_TEXT(key, id);
        log_append_field(line, &field, as_text);
    }
}

static void log_compose(struct buffer *line, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count, bool as_text) {
    char time[TIMESTAMP_TEXT_CAP];
    timestamp_format(clock_wall_us(), time);
    if (as_text) {
        buffer_append_format(line, "%s %-7s %s", time, level_names[level], message);
    } else {
        buffer_append_format(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time,
                             level_names[level]);
        buffer_append_json_string(line, slice_of(message));
    }
    log_append_bound_id(line, "correlation_id", correlation, as_text);
    log_append_bound_id(line, "trace_id", trace, as_text);
    for (size_t i = 0; i < count; i++) {
        log_append_field(line, &fields[i], as_text);
    }
    buffer_append_text(line, as_text ? "\n" : "}\n");
}

/* ---- writing ------------------------------------------------------------------------------ */

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* keeps lines of threads apart */
static size_t dropped;                                      /* lines, since a write failed */
static int refusal;    /* errno of the last write that failed; 0: stderr blocked */
static bool part_left; /* the last line that was written has no end */

/* Removes the part of a line that a full disk took, so that the file has whole lines. Not behind
 * what another process wrote. */
static void log_take_back(size_t len) {
    struct stat file;
    off_t end = lseek(STDERR_FILENO, 0, SEEK_CUR);
    part_left = part_left || len > 0;
    if (len > 0 && fstat(STDERR_FILENO, &file) == 0 && S_ISREG(file.st_mode) &&
        file.st_size == end && ftruncate(STDERR_FILENO, end - (off_t)len) == 0) {
        part_left = lseek(STDERR_FILENO, end - (off_t)len, SEEK_SET) < 0;
    }
}

/* A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)). */
static bool log_write_all(struct slice text, int wait_ms) {
    size_t done = 0;
    while (done < text.len) {
        struct pollfd fd = {STDERR_FILENO, POLLOUT, 0};
        size_t left = text.len - done;
        int ready = poll(&fd, 1, wait_ms);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        bool takes = ready > 0 && (fd.revents & POLLOUT);
        ssize_t written =
            takes ? write(STDERR_FILENO, text.data + done, left < PIPE_BUF ? left : PIPE_BUF) : 0;
        if (!takes || (written < 0 && errno != EINTR && errno != EAGAIN)) {
            refusal = takes ? errno : 0;
            log_take_back(done);
            return false;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    part_left = false;
    return true;
}

static bool log_report_dropped(void) {
    struct buffer line = {0};
    struct log_field fields[] = {LOG_INT("lines", (int64_t)dropped),
                                 LOG_TEXT("error", refusal ? strerror(refusal) : NULL)};
    buffer_append_text(&line, part_left ? "\n" : "");
    log_compose(&line, LOG_WARNING,
                refusal ? "log lines were dropped: standard error could not be written"
                        : "log lines were dropped: standard error was not read",
                fields, 2, atomic_load(&text_format));
    bool written = log_write_all(buffer_slice(&line), 0);
    buffer_free(&line);
    return written;
}

/* Without its fields if it is too long with them. */
static void log_keep(enum log_level level, const char *message, const struct log_field *fields,
                     size_t count) {
    struct buffer line = {0};
    log_compose(&line, level, message, fields, count, false);
    if (line.len > LOG_RECENT_LINE_BYTES) {
        buffer_clear(&line);
        log_compose(&line, level, message, NULL, 0, false);
    }
    log_recent_add(message, (struct slice){line.data, line.len - 1});
    buffer_free(&line);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count) {
    if (!log_enabled(level)) {
        return;
    }
    struct buffer line = {0};
    struct buffer shown = {0};
    if (level >= LOG_WARNING) {
        log_keep(level, message, fields, count);
    }
    log_compose(&line, level, message, fields, count,
                atomic_load_explicit(&text_format, memory_order_relaxed));
    terminal_append(&shown, buffer_slice(&line));
    pthread_mutex_lock(&writing);
    if (dropped > 0 && log_report_dropped()) {
        dropped = 0;
    }
    if (dropped > 0 || !log_write_all(buffer_slice(&shown), STUCK_AFTER_MS)) {
        dropped++;
    }
    pthread_mutex_unlock(&writing);
    buffer_free(&line);
    buffer_free(&shown);
}

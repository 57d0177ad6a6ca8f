/* captured: captures the program's log as text. */
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "test.h"

static int captured_reading; /* the end of the pipe that is standard error meanwhile */
static int captured_kept_fd = -1;
static char captured_text[1 << 20];

static inline void captured_begin(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    captured_kept_fd = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    captured_reading = fds[0];
    log_configure(LOG_INFO, false);
    log_set_correlation_id(slice_of(""));
}

/* What was written since the last call, with a NUL. */
static inline char *captured_take(void) {
    size_t len = 0;
    ssize_t got;
    while ((got = read(captured_reading, captured_text + len, sizeof captured_text - 1 - len)) >
           0) {
        len += (size_t)got;
    }
    captured_text[len] = '\0';
    return captured_text;
}

static inline void captured_end(void) {
    dup2(captured_kept_fd, STDERR_FILENO);
    close(captured_kept_fd);
    close(captured_reading);
}

/* A process that was asked to stop and hangs: it exits at its time limit. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop.h"
#include "test.h"

#define STATUS_ENDED_AT_ONCE 130
#define SIGNAL_INTERVAL_MS 100

/* Returns once the thread that takes the signals has taken one, and so waits for the next. */
static void await_thread(void) {
    struct pollfd reloads = {signals_reload_fd(), POLLIN, 0};
    kill(getpid(), SIGHUP);
    poll(&reloads, 1, -1);
    poll(NULL, 0, SIGNAL_INTERVAL_MS);
}

/* Asks its own process to stop, then hangs. `disturbing`: a signal that comes again and again; 0:
 * none. */
static void hang(int limit_s, int disturbing) {
    struct err err = {0};
    log_configure(LOG_ERROR + 1, true);
    if (!signals_listen(true, limit_s, &err)) {
        _exit(EXIT_FAILURE);
    }
    await_thread();
    stop_request();
    for (;;) {
        poll(NULL, 0, SIGNAL_INTERVAL_MS);
        if (disturbing) {
            kill(getpid(), disturbing);
        }
    }
}

static bool has_ended(pid_t child, int *status, bool *ended) {
    *ended = *ended || waitpid(child, status, WNOHANG) == child;
    return *ended;
}

/* By SIGALRM where the last line of the log takes long: signals.c bounds it. */
static bool is_of_limit(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) == STATUS_ENDED_AT_ONCE
                             : WTERMSIG(status) == SIGALRM;
}

/* Whether a process that hangs ends by its limit. */
static bool ends_by_its_limit(int disturbing) {
    int status = 0;
    bool ended = false;
    pid_t child = fork();
    if (child == 0) {
        hang(1, disturbing);
    }
    WAIT_UNTIL(has_ended(child, &status, &ended));
    if (!ended) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    return is_of_limit(status);
}

static void a_stop_that_no_signal_asked_for_has_a_limit(void) {
    CHECK(ends_by_its_limit(0));
}

static void ignored_signals_do_not_move_the_limit(void) {
    CHECK(ends_by_its_limit(SIGUSR1));
}

static const struct test_case cases[] = {
    {"a stop that no signal asked for has a limit", a_stop_that_no_signal_asked_for_has_a_limit},
    {"ignored signals do not move the limit", ignored_signals_do_not_move_the_limit},
};

TEST_MAIN(cases)

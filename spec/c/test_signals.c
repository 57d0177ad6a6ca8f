/* A process that was asked to stop and hangs: it exits at its time limit. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"
#include "base/stop.h"
#include "test.h"

#define GIVEN_UP_S 60 /* SIGALRM ends a process that its limit does not end */
#define SIGNAL_INTERVAL_MS 100

/* Returns once the thread that takes the signals has taken one, and so waits for the next. */
static void await_thread(void) {
    struct pollfd reloads = {signals_reload_fd(), POLLIN, 0};
    kill(getpid(), SIGHUP);
    poll(&reloads, 1, -1);
    poll(NULL, 0, SIGNAL_INTERVAL_MS);
}

/* In a process of its own: asks it to stop, then hangs. `disturbing`: a signal that comes again and
 * again; 0: none. Returns its exit status, -1 if it had to be given up. */
static int hang(int limit_s, int disturbing) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        alarm(GIVEN_UP_S);
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
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_stop_that_no_signal_asked_for_has_a_limit(void) {
    CHECK_INT(hang(1, 0), 130);
}

static void ignored_signals_do_not_move_the_limit(void) {
    CHECK_INT(hang(1, SIGUSR1), 130);
}

static const struct test_case cases[] = {
    {"a stop that no signal asked for has a limit", a_stop_that_no_signal_asked_for_has_a_limit},
    {"ignored signals do not move the limit", ignored_signals_do_not_move_the_limit},
};

TEST_MAIN(cases)

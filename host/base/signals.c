#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "stop.h"

#define ENDED_AT_ONCE 130
#define LOG_TIMEOUT_S 1 /* standard error may block */
#define IGNORED "ignored: aggregator status shows the state, aggregator reload loads new scripts"

static int reload_fd = -1;
static _Atomic int ended_by; /* the first SIGTERM or SIGINT; 0: none */

int signals_reload_fd(void) {
    return reload_fd;
}

int signals_status(int status) {
    int number = atomic_load(&ended_by);
    return status != 0 && number != 0 ? 128 + number : status;
}

/* ---- commands: handlers call async-signal-safe functions only -------------------------------- */

/* By the signal's default action, so that a shell sees it; PID 1 of a container has none. */
static void signals_end_by(int number) {
    sigset_t this;
    sigemptyset(&this);
    sigaddset(&this, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &this, NULL);
    raise(number);
    _exit(128 + number);
}

static void signals_report_ignored(int number) {
    static const char text[] = "aggregator: SIGUSR1 and SIGUSR2 are " IGNORED "\n";
    int before = errno;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    (void)number;
    errno = before;
}

static void signals_handle(int number, void (*handler)(int number)) {
    struct sigaction now, action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    /* A signal that is ignored at start (nohup) stays ignored. */
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_IGN) {
        sigaction(number, &action, NULL);
    }
}

void signals_init(void) {
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is as a full disk: the write fails */
    signals_handle(SIGTERM, signals_end_by);
    signals_handle(SIGINT, signals_end_by);
    signals_handle(SIGUSR1, signals_report_ignored);
    signals_handle(SIGUSR2, signals_report_ignored);
}

/* ---- the thread ---------------------------------------------------------------------------- */

struct listener {
    int fd; /* signalfd(2) */
    bool reloads;
    int limit_s;
};

static void signals_exit_at_once(const char *why, const char *signal_name) {
    signal(SIGALRM, SIG_DFL);
    alarm(LOG_TIMEOUT_S);
    log_warning("ended at once", LOG_TEXT("reason", why), LOG_TEXT("signal", signal_name));
    _exit(ENDED_AT_ONCE);
}

/* The sender's pid is 0 for a key of the terminal and for a sender outside this container. */
static void signals_act(const struct listener *listener, int number, pid_t sender) {
    const char *name = strsignal(number);
    if (number == SIGUSR1 || number == SIGUSR2) {
        log_warning("signal " IGNORED, LOG_TEXT("signal", name));
    } else if (number == SIGHUP && listener->reloads) {
        eventfd_write(reload_fd, 1);
    } else if (atomic_load(&ended_by) != 0) {
        signals_exit_at_once("a second signal", name);
    } else {
        atomic_store(&ended_by, number);
        log_info("stopping", LOG_TEXT("signal", name), LOG_INT("sender_pid", (int64_t)sender));
        stop_request();
    }
}

/* Acts on a signal, unless none has come. */
static void signals_take(const struct listener *listener) {
    struct signalfd_siginfo info;
    if (read(listener->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        signals_act(listener, (int)info.ssi_signo, (pid_t)info.ssi_pid);
    }
}

/* After a stop request, of a signal or of the program itself, it exits at the deadline, whatever
 * hangs. */
static void *signals_listen_main(void *context) {
    const struct listener *listener = context;
    struct pollfd fds[2] = {{listener->fd, POLLIN, 0}, {stop_fd(), POLLIN, 0}};
    while (!stop_requested()) {
        (void)clock_poll(fds, 2, INT64_MAX);
        signals_take(listener);
    }
    int64_t deadline_us = clock_monotonic_us() + listener->limit_s * 1000000LL;
    while (clock_poll(fds, 1, deadline_us) != 0) {
        signals_take(listener);
    }
    signals_exit_at_once("it did not end in time", NULL);
    return NULL;
}

bool signals_listen(bool reloads, int limit_s, struct err *err) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    static struct listener listener;
    pthread_t thread;
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&signals, numbers[i]);
    }
    listener =
        (struct listener){signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), reloads, limit_s};
    reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!stop_init() || reload_fd < 0 || listener.fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot create an eventfd: %s", strerror(errno));
    }
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int failure = pthread_create(&thread, NULL, signals_listen_main, &listener);
    if (failure != 0) {
        return err_set(err, ERR_INTERNAL, "cannot start the signal thread: %s", strerror(failure));
    }
    pthread_detach(thread);
    return true;
}

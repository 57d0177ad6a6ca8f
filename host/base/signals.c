#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "stop.h"

#define ENDED_AT_ONCE 130
#define LOG_LIMIT_S 1 /* for a line in a log that nobody reads */
#define IGNORED                                                                                    \
    "ignored: aggregator status tells the state, aggregator reload or SIGHUP replaces scripts"

static int reload_fd = -1;
static _Atomic int ended_by; /* the first signal that asked the process to end; 0: none */

int signals_reload_fd(void) {
    return reload_fd;
}

int signals_status(int status) {
    int number = atomic_load(&ended_by);
    return status != 0 && number != 0 ? 128 + number : status;
}

/* ---- commands: in signal context, where only write and _exit and their like are called ------ */

/* By the signal's own action, so that a shell sees what happened; the first process of a container
 * has none. */
static void signals_end_by(int number) {
    sigset_t this;
    sigemptyset(&this);
    sigaddset(&this, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &this, NULL);
    raise(number);
    _exit(128 + number);
}

static void signals_say_ignored(int number) {
    static const char text[] = "aggregator: SIGUSR1 and SIGUSR2 are " IGNORED "\n";
    int before = errno;
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        errno = before; /* nobody listens */
    }
    errno = before;
}

static void signals_handle(int number, void (*handler)(int number)) {
    struct sigaction now, action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    /* What was ignored at start (nohup) stays so. */
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_IGN) {
        sigaction(number, &action, NULL);
    }
}

void signals_init(void) {
    signals_handle(SIGTERM, signals_end_by);
    signals_handle(SIGINT, signals_end_by);
    signals_handle(SIGUSR1, signals_say_ignored);
    signals_handle(SIGUSR2, signals_say_ignored);
}

/* ---- what listens -------------------------------------------------------------------------- */

struct listener {
    sigset_t signals;
    bool reloads;
    int limit_s;
};

static void signals_end_at_once(const char *why, const char *signal_name) {
    signal(SIGALRM, SIG_DFL);
    alarm(LOG_LIMIT_S);
    log_warning("ended at once", LOG_TEXT("reason", why), LOG_TEXT("signal", signal_name));
    _exit(ENDED_AT_ONCE);
}

static void signals_act(const struct listener *listener, int number) {
    const char *name = strsignal(number);
    if (number == SIGUSR1 || number == SIGUSR2) {
        log_warning("signal " IGNORED, LOG_TEXT("signal", name));
    } else if (number == SIGHUP && listener->reloads) {
        eventfd_write(reload_fd, 1);
    } else if (stop_requested()) {
        signals_end_at_once("a second signal", name);
    } else {
        atomic_store(&ended_by, number);
        log_info("stopping", LOG_TEXT("signal", name));
        stop_request();
    }
}

/* Once the process was asked to end it has its time, whatever hangs. */
static void *signals_listen_main(void *context) {
    const struct listener *listener = context;
    struct timespec limit = {listener->limit_s, 0};
    for (;;) {
        int number = stop_requested() ? sigtimedwait(&listener->signals, NULL, &limit)
                                      : sigwaitinfo(&listener->signals, NULL);
        if (number > 0) {
            signals_act(listener, number);
        } else if (errno == EAGAIN) {
            signals_end_at_once("it did not end in time", NULL);
        }
    }
    return NULL;
}

bool signals_listen(bool reloads, int limit_s, struct err *err) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    static struct listener listener;
    pthread_t thread;
    listener.reloads = reloads;
    listener.limit_s = limit_s;
    sigemptyset(&listener.signals);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&listener.signals, numbers[i]);
    }
    reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!stop_init() || reload_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot make an eventfd: %s", strerror(errno));
    }
    pthread_sigmask(SIG_BLOCK, &listener.signals, NULL);
    int failure = pthread_create(&thread, NULL, signals_listen_main, &listener);
    if (failure != 0) {
        return err_set(err, ERR_INTERNAL, "cannot start the signals' thread: %s",
                       strerror(failure));
    }
    pthread_detach(thread);
    return true;
}

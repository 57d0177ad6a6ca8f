#include "aside.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "stop.h"
#include "xalloc.h"

enum aside_state { ASIDE_RUNS, ASIDE_ENDED, ASIDE_LEFT };

/* The caller's and the thread's; freed by the caller, or by the thread once it is left. */
struct aside {
    struct aside_work work;
    void *context;
    int ended_fd; /* readable once the work has ended; nothing is touched by the thread after that
                   */
    _Atomic int state;
};

static _Atomic int left_count;

int aside_left(void) {
    return atomic_load(&left_count);
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void aside_free_aside(struct aside *aside) {
    close(aside->ended_fd);
    free(aside);
}

/* write and read rather than eventfd_write and poll alone: ThreadSanitizer knows that what came
 * before a write to a descriptor came before a read from it. */
static void aside_signal_end(const struct aside *aside) {
    static const uint64_t one = 1;
    ssize_t written = write(aside->ended_fd, &one, sizeof one);
    assert(written == sizeof one); /* the counter cannot overflow by one */
    (void)written;
}

static void *aside_main(void *argument) {
    struct aside *aside = argument;
    aside->work.run(aside->context);
    if (atomic_exchange(&aside->state, ASIDE_ENDED) == ASIDE_LEFT) {
        aside->work.destroy(aside->context);
        aside_free_aside(aside);
        atomic_fetch_sub(&left_count, 1);
    } else {
        aside_signal_end(aside);
    }
    return NULL;
}

/* No signal is taken by it. */
static int aside_start_aside(struct aside *aside) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, NULL, aside_main, aside);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) {
        pthread_detach(thread);
    }
    return failure;
}

/* ---- the caller ---------------------------------------------------------------------------- */

/* True: the work has ended. */
static bool aside_await_aside(const struct aside *aside, int64_t deadline_us, int stop) {
    struct pollfd fds[2] = {{aside->ended_fd, POLLIN, 0}, {stop, POLLIN, 0}};
    int timeout_ms, ready;
    do {
        timeout_ms = deadline_us ? clock_remaining_ms(deadline_us) : -1;
        ready = poll(fds, 2, timeout_ms);
    } while ((ready < 0 && errno == EINTR) || (ready == 0 && timeout_ms != 0));
    uint64_t count;
    return fds[0].revents != 0 && read(aside->ended_fd, &count, sizeof count) == sizeof count;
}

/* False: err says why it was given up. */
static bool aside_leave_aside(struct aside *aside, int timeout_ms, struct err *err) {
    const char *name = aside->work.name;
    atomic_fetch_add(&left_count, 1);
    if (atomic_exchange(&aside->state, ASIDE_LEFT) == ASIDE_ENDED) { /* at the last moment */
        atomic_fetch_sub(&left_count, 1);
        return aside_await_aside(aside, 0, -1);
    }
    return stop_requested() ? err_set(err, ERR_UNAVAILABLE, "%s: the program is stopping", name)
                            : err_set(err, ERR_TIMEOUT, "%s does not end: given up after %d ms",
                                      name, timeout_ms);
}

bool aside_run(const struct aside_work *work, void *context, int timeout_ms, struct err *err) {
    if (aside_left() >= ASIDE_LEFT_MAX) {
        work->destroy(context);
        return err_set(err, ERR_UNAVAILABLE,
                       "%s is not tried: %d earlier tries of such work have not ended yet",
                       work->name, ASIDE_LEFT_MAX);
    }
    struct aside *aside = xcalloc(1, sizeof *aside);
    *aside = (struct aside){*work, context, eventfd(0, EFD_CLOEXEC), ASIDE_RUNS};
    int failure = aside->ended_fd < 0 ? errno : aside_start_aside(aside);
    if (failure != 0) {
        err_set(err, ERR_INTERNAL, "%s: cannot start a thread: %s", work->name, strerror(failure));
        work->destroy(context);
        if (aside->ended_fd >= 0) {
            close(aside->ended_fd);
        }
        free(aside);
        return false;
    }
    bool ended = aside_await_aside(aside, clock_monotonic_us() + timeout_ms * 1000LL, stop_fd()) ||
                 aside_leave_aside(aside, timeout_ms, err);
    if (ended) {
        aside_free_aside(aside);
    }
    return ended;
}

#include "timed_work.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "stop.h"
#include "thread.h"
#include "xalloc.h"

enum job_state { JOB_RUNS, JOB_ENDED, JOB_ABANDONED };

/* The caller frees it; once it is abandoned, the thread does. */
struct job {
    struct timed_work work;
    void *context;
    int ended_fd; /* readable after the work has ended: the last access of the thread */
    _Atomic int state;
};

static _Atomic int abandoned;

int timed_work_abandoned(void) {
    return atomic_load(&abandoned);
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void timed_work_free(struct job *job) {
    close(job->ended_fd);
    free(job);
}

/* write(2) and read(2), not eventfd_write and poll alone: ThreadSanitizer orders these. */
static void timed_work_signal_end(const struct job *job) {
    static const uint64_t one = 1;
    ssize_t written = write(job->ended_fd, &one, sizeof one);
    assert(written == sizeof one); /* the counter cannot overflow */
    (void)written;
}

static void *timed_work_main(void *argument) {
    struct job *job = argument;
    job->work.run(job->context);
    if (atomic_exchange(&job->state, JOB_ENDED) == JOB_ABANDONED) {
        job->work.destroy(job->context);
        timed_work_free(job);
        atomic_fetch_sub(&abandoned, 1);
    } else {
        timed_work_signal_end(job);
    }
    return NULL;
}

/* ---- the caller ---------------------------------------------------------------------------- */

/* True: the work has ended. False: the deadline passed or `stop` is readable. */
static bool timed_work_await(const struct job *job, int64_t deadline_us, int stop) {
    struct pollfd fds[2] = {{job->ended_fd, POLLIN, 0}, {stop, POLLIN, 0}};
    uint64_t count;
    (void)clock_poll(fds, 2, deadline_us);
    return fds[0].revents != 0 && read(job->ended_fd, &count, sizeof count) == sizeof count;
}

/* Abandons it. True: it ended at the last moment. */
static bool timed_work_abandon(struct job *job, int timeout_ms, struct err *err) {
    const char *name = job->work.name;
    atomic_fetch_add(&abandoned, 1);
    if (atomic_exchange(&job->state, JOB_ABANDONED) == JOB_ENDED) {
        atomic_fetch_sub(&abandoned, 1);
        return timed_work_await(job, INT64_MAX, -1);
    }
    return stop_requested()
               ? err_set(err, ERR_UNAVAILABLE, "%s: stopped, because the program is stopping", name)
               : err_set(err, ERR_TIMEOUT, "%s: timed out after %d ms", name, timeout_ms);
}

bool timed_work_run(const struct timed_work *work, void *context, int timeout_ms, struct err *err) {
    if (timed_work_abandoned() >= TIMED_WORK_ABANDONED_MAX) {
        work->destroy(context);
        return err_set(
            err, ERR_UNAVAILABLE,
            "%s: not started, because %d earlier threads hang: see whether a mount is dead",
            work->name, TIMED_WORK_ABANDONED_MAX);
    }
    struct job *job = xcalloc(1, sizeof *job);
    *job = (struct job){*work, context, eventfd(0, EFD_CLOEXEC), JOB_RUNS};
    int failure =
        job->ended_fd < 0 ? errno : thread_start_detached(timed_work_main, job, "timed work");
    if (failure != 0) {
        err_set(err, ERR_INTERNAL, "%s: cannot start a thread: %s", work->name, strerror(failure));
        work->destroy(context);
        if (job->ended_fd >= 0) {
            close(job->ended_fd);
        }
        free(job);
        return false;
    }
    bool ended = timed_work_await(job, clock_monotonic_us() + timeout_ms * 1000LL, stop_fd()) ||
                 timed_work_abandon(job, timeout_ms, err);
    if (ended) {
        timed_work_free(job);
    }
    return ended;
}

/* clock: monotonic time for durations and deadlines, wall time for logs, waits with a deadline. */
#pragma once

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t clock_monotonic_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline int64_t clock_wall_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Milliseconds until a monotonic deadline, at least 0 and at most an hour: for poll(2). */
static inline int clock_remaining_ms(int64_t deadline_us) {
    int64_t left_us = deadline_us - clock_monotonic_us();
    if (left_us <= 0) {
        return 0;
    }
    return left_us > 3600000000LL ? 3600000 : (int)((left_us + 999) / 1000);
}

/* poll(2) with a monotonic deadline. A signal does not end the wait. 0: the deadline has passed. */
static inline int clock_poll(struct pollfd *fds, nfds_t count, int64_t deadline_us) {
    int left_ms, ready;
    do {
        left_ms = clock_remaining_ms(deadline_us);
        ready = poll(fds, count, left_ms);
    } while ((ready < 0 && errno == EINTR) || (ready == 0 && left_ms > 0));
    return ready;
}

static inline void clock_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* pthread_cond_timedwait with a monotonic deadline; needs clock_condition_init. */
static inline int clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                       int64_t deadline_us) {
    struct timespec deadline = {deadline_us / 1000000, deadline_us % 1000000 * 1000};
    return pthread_cond_timedwait(condition, lock, &deadline);
}

/* Joins the thread if it ends before a monotonic deadline; false: it still runs. */
static inline bool clock_join(pthread_t thread, int64_t deadline_us) {
#ifdef __SANITIZE_THREAD__ /* ThreadSanitizer does not know pthread_clockjoin_np */
    int64_t until_us = clock_wall_us() + clock_remaining_ms(deadline_us) * 1000LL;
    struct timespec deadline = {until_us / 1000000, until_us % 1000000 * 1000};
    return pthread_timedjoin_np(thread, NULL, &deadline) == 0;
#else
    struct timespec deadline = {deadline_us / 1000000, deadline_us % 1000000 * 1000};
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) == 0;
#endif
}

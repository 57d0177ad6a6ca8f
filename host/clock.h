/* clock: monotonic time for durations and deadlines; wall time only for logs. */
#ifndef AGG_HOST_CLOCK_H
#define AGG_HOST_CLOCK_H

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

/* Milliseconds from now until a monotonic deadline, at least 0: what poll(2) wants. */
static inline int clock_remaining_ms(int64_t deadline_us) {
    int64_t left_us = deadline_us - clock_monotonic_us();
    if (left_us <= 0) {
        return 0;
    }
    return left_us > 3600000000LL ? 3600000 : (int)((left_us + 999) / 1000);
}

#endif

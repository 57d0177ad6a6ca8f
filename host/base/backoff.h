/* backoff: delay before the next retry. */
#pragma once

#include <stdint.h>

/* first_us, doubled once for each earlier failure, at most last_us. */
static inline int64_t backoff_us(int failures_before, int64_t first_us, int64_t last_us) {
    int64_t us = first_us;
    for (int i = 0; i < failures_before && us < last_us; i++) {
        us *= 2;
    }
    return us < last_us ? us : last_us;
}

/* Between us / 2 and us, so that clients that failed together do not retry together. */
static inline int64_t backoff_jitter_us(int64_t us, uint64_t random) {
    return us / 2 + (int64_t)(random % (uint64_t)(us / 2 + 1));
}

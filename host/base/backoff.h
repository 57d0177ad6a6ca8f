/* backoff: how long to wait before the next try of something that failed. */
#ifndef AGG_HOST_BASE_BACKOFF_H
#define AGG_HOST_BASE_BACKOFF_H

#include <stdint.h>

/* first_us, doubled by each of the failures before the last one, and at most last_us. */
static inline int64_t backoff_us(int failures_before, int64_t first_us, int64_t last_us) {
    int64_t us = first_us;
    for (int i = 0; i < failures_before && us < last_us; i++) {
        us *= 2;
    }
    return us < last_us ? us : last_us;
}

/* Between half and all of it, so that those that failed together do not come back together. */
static inline int64_t backoff_jitter_us(int64_t us, uint64_t random) {
    return us / 2 + (int64_t)(random % (uint64_t)(us / 2 + 1));
}

#endif

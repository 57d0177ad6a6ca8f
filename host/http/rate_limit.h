/* rate_limit: token buckets of one route, one a caller, in this process alone. A bucket is the time
 * at which it is full again (GCRA: ITU-T I.371, "virtual scheduling"). Any thread. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/slice.h"
#include "script/script.h"

#define RATE_MAX_CALLERS 256

struct rate_bucket {
    uint64_t caller; /* hash64 of its name */
    int64_t full_at_ns;
};

struct rate_buckets {
    pthread_mutex_t lock;
    struct rate_bucket *items; /* NULL until a limited route is asked */
    size_t count;
};

void rate_limit_init(struct rate_buckets *buckets);
/* Takes a token. 0: there was one; else the seconds until there is one, rounded up. now_us:
 * monotonic. Above RATE_MAX_CALLERS the bucket that is full first is given to the new caller. */
int rate_limit_take(struct rate_buckets *buckets, const struct script_rate *rate,
                    struct slice caller, int64_t now_us);

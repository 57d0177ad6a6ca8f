#include "rate_limit.h"

#include "base/hash.h"
#include "base/xalloc.h"

#define NS_PER_S 1000000000LL

void rate_limit_init(struct rate_buckets *buckets) {
    pthread_mutex_init(&buckets->lock, NULL);
}

/* Under the lock. */
static struct rate_bucket *rate_limit_bucket(struct rate_buckets *buckets, uint64_t caller) {
    struct rate_bucket *fullest = buckets->items;
    for (size_t i = 0; i < buckets->count; i++) {
        struct rate_bucket *bucket = &buckets->items[i];
        if (bucket->caller == caller) {
            return bucket;
        }
        fullest = bucket->full_at_ns < fullest->full_at_ns ? bucket : fullest;
    }
    if (!buckets->items) {
        buckets->items = xcalloc(RATE_MAX_CALLERS, sizeof *buckets->items);
    }
    if (buckets->count < RATE_MAX_CALLERS) {
        fullest = &buckets->items[buckets->count++];
    }
    *fullest = (struct rate_bucket){.caller = caller};
    return fullest;
}

int rate_limit_take(struct rate_buckets *buckets, const struct script_rate *rate,
                    struct slice caller, int64_t now_us) {
    int64_t now_ns = now_us * 1000, wait_ns;
    uint64_t hash = hash64(caller);
    pthread_mutex_lock(&buckets->lock);
    struct rate_bucket *bucket = rate_limit_bucket(buckets, hash);
    /* An empty bucket of this rate is the emptiest: a slower one of before a reload emptied it. */
    int64_t empty_ns = now_ns + rate->burst * rate->interval_ns;
    int64_t full_at_ns = bucket->full_at_ns > now_ns ? bucket->full_at_ns : now_ns;
    full_at_ns = full_at_ns < empty_ns ? full_at_ns : empty_ns;
    wait_ns = full_at_ns - now_ns - (rate->burst - 1) * rate->interval_ns;
    bucket->full_at_ns = full_at_ns + (wait_ns <= 0 ? rate->interval_ns : 0);
    pthread_mutex_unlock(&buckets->lock);
    return wait_ns <= 0 ? 0 : (int)((wait_ns + NS_PER_S - 1) / NS_PER_S);
}

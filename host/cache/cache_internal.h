/* cache_internal: what the parts of the cache share. Nothing outside host/cache includes it.
 * store.c is the process level, shared.c the Redis level; announce.c tells other processes,
 * subscriber.c hears them. */
#ifndef AGG_HOST_CACHE_INTERNAL_H
#define AGG_HOST_CACHE_INTERNAL_H

#include <pthread.h>

#include "base/metrics.h"
#include "cache.h"

#ifndef CACHE_BUCKETS /* spec/c/explore_cache.c has fewer */
#define CACHE_BUCKETS 65536
#endif
#define CACHE_CHANNEL "ras:cache:invalidated"
#define CACHE_SEQ_KEY "ras:cache:seq"
#define CACHE_RECENT_KEY "ras:cache:recent"
#define CACHE_FLOOR_KEY "ras:cache:floor"
#define CACHE_TAGS_PREFIX "ras:cache:tags:"
#define CACHE_RECENT "256"     /* invalidations that are kept */
#define CACHE_DEP_KEY_BYTES 40 /* "ras:cache:dep:" and 16 digits */

static inline uint32_t cache_bucket(uint64_t tag) {
    return (uint32_t)(tag % CACHE_BUCKETS);
}

/* --- process level; every function wants the cache's lock held --- */
struct store_entry;
struct store_link; /* one (tag, entry) pair: in the tag's bucket and in the entry's list */

struct store_bucket {
    uint64_t sequence; /* of the last invalidation of any tag in here */
    struct store_link *links;
};

struct store {
    struct store_bucket *buckets; /* by tag */
    struct store_entry **chains;  /* by key hash */
    struct store_entry *newest;   /* use order: the oldest goes first */
    struct store_entry *oldest;
    size_t bytes;
    size_t max_bytes;
    uint64_t sequence; /* invalidations so far */
    uint64_t floor;    /* answers begun before this one are refused: invalidations went unheard */
};

void store_init(struct store *store, size_t max_bytes);
void store_free(struct store *store);
/* A new reference, or NULL. Counts a hit on the entry's own metric. */
struct answer *store_find(struct store *store, const struct cache_key *key);
/* Whether one of the tags was invalidated after `began`, or may have been unheard. An answer
 * without tags is stale after any invalidation: none can find it. */
bool store_is_stale(const struct store *store, const uint64_t *tags, size_t count, uint64_t began);
/* Whether one of the tags was invalidated by the invalidation `first`, or later. */
bool store_was_invalidated(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t first);
/* Keeps the answer unless it is stale. */
void store_put(struct store *store, const struct cache_key *key, struct answer *answer,
               const uint64_t *tags, size_t count, uint64_t began, int64_t lifetime_us,
               struct metric_cell *hits);
void store_invalidate(struct store *store, const uint64_t *tags, size_t count);
/* Drops everything and refuses whatever is being computed now. */
void store_reset(struct store *store);

/* --- Redis level --- */
struct shared;
struct shared *shared_create(const char *url, int timeout_ms, struct err *err);
void shared_destroy(struct shared *shared);

struct shared_hit {
    struct answer *answer; /* NULL: a miss */
    uint64_t *tags;        /* malloc'ed */
    size_t tag_count;
    int64_t lifetime_us;
    bool reachable; /* Redis answered: `sequence` may guard a store */
    uint64_t sequence;
};
/* `view`: see cache_set_view. */
void shared_get(struct shared *shared, const struct cache_key *key, uint64_t view,
                struct shared_hit *hit);
/* Keeps hit->answer with its tags, unless an invalidation has come since hit->sequence. Does not
 * wait for Redis to have done so. */
void shared_put(struct shared *shared, const struct cache_key *key, uint64_t view,
                const struct shared_hit *hit, int ttl_s);

/* --- what processes tell each other through Redis; each function queues commands --- */
struct slice cache_dep_key(uint64_t tag, char out[CACHE_DEP_KEY_BYTES]);
bool announce_append(struct redis *redis, const struct cache_announcement *announcement,
                     struct err *err);
bool announce_append_of_all(struct redis *redis, const struct cache_announcement *announcement,
                            struct err *err);
bool announce_append_question(struct redis *redis, const struct cache_announcement *announcement,
                              struct err *err);
/* The command, as texts, that comes before anything is heard on a connection. Its reply is 1 where
 * this run of the server is another one, so that all answers were forgotten, else 0. */
#define ANNOUNCE_GREETING_ARGS 6
extern const char *const announce_greeting[ANNOUNCE_GREETING_ARGS];

/* --- the ear for other processes --- */
struct subscriber;
struct subscriber *subscriber_start(const char *url, int timeout_ms, struct cache *cache,
                                    struct err *err);
void subscriber_stop(struct subscriber *subscriber);
/* Called by the subscriber: true when the subscription stands, false when it is lost. */
void cache_set_hearing(struct cache *cache, bool hearing);
/* All that was announced before this moment of the monotonic clock has been heard. */
void cache_set_heard(struct cache *cache, int64_t until_us);
/* Another process, or this one, has demanded it, and counted it. */
void cache_forget_as_told(struct cache *cache);

#endif

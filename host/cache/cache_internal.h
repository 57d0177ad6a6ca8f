/* cache_internal: shared by the files of host/cache only. store.c is the process level, shared.c
 * the Redis level; announce.c sends invalidations to other processes, subscriber.c receives theirs.
 */
#pragma once

#include <pthread.h>

#include "base/metrics.h"
#include "bindings/pg_position.h"
#include "cache.h"

#ifndef CACHE_BUCKETS /* spec/c/explore_cache.c has fewer */
#define CACHE_BUCKETS 65536
#endif
#define CACHE_CHANNEL "ras:cache:invalidated"
#define CACHE_SEQ_KEY "ras:cache:seq"
#define CACHE_RECENT_KEY "ras:cache:recent"
#define CACHE_FLOOR_KEY "ras:cache:floor"
#define CACHE_TAGS_PREFIX "ras:cache:tags:"
#define CACHE_RECENT "256"     /* invalidations kept */
#define CACHE_DEP_KEY_BYTES 40 /* "ras:cache:dep:" and 16 digits */

static inline uint32_t cache_bucket(uint64_t tag) {
    return (uint32_t)(tag % CACHE_BUCKETS);
}

/* --- process level; callers hold the cache's lock --- */
struct store_entry;
struct store_link; /* one (tag, entry) pair: in the tag's bucket and in the entry's list */

struct store_bucket {
    uint64_t sequence; /* of the last invalidation of a tag in this bucket */
    struct store_link *links;
};

struct store {
    struct store_bucket *buckets; /* by tag */
    struct store_entry **chains;  /* by key hash */
    struct store_entry *newest;   /* order of use: the oldest is evicted first */
    struct store_entry *oldest;
    size_t bytes;
    size_t max_bytes;
    uint64_t sequence; /* invalidations so far */
    uint64_t floor;    /* responses begun before it are stale: invalidations may be missed */
    bool alone;        /* without Redis: commits of other processes are not known of */
};

void store_init(struct store *store, size_t max_bytes);
void store_free(struct store *store);
/* How long a response with these ages is served after it is stale, at most. */
static inline int cache_stale_s(const struct cache_ages *ages) {
    return ages->stale_while_revalidate_s > ages->stale_if_error_s ? ages->stale_while_revalidate_s
                                                                   : ages->stale_if_error_s;
}

enum store_state {
    STORE_FRESH,
    STORE_STALE,    /* within stale_while_revalidate_s */
    STORE_FALLBACK, /* within stale_if_error_s */
    STORE_FAILED,   /* the same, and computing it failed less than STORE_RETRY_US ago */
};
#define STORE_RETRY_US 1000000
struct store_hit {
    struct cached_response *response; /* a new reference; NULL: a miss */
    enum store_state state;
    bool wants_refresh; /* STORE_STALE, and it is not refreshed yet: now it counts as being so */
};
/* Counts a hit on the entry's own metric, except for STORE_FALLBACK. */
struct store_hit store_find(struct store *store, const struct cache_key *key);
/* Computing the response failed: nobody is asked to for STORE_RETRY_US. Returns a reference to the
 * stale one, or NULL. */
struct cached_response *store_fall_back(struct store *store, const struct cache_key *key);
/* After a refresh, or in its place: a response that it has not replaced may be refreshed again. */
void store_end_refresh(struct store *store, const struct cache_key *key);
/* Drops the response. */
void store_forget(struct store *store, const struct cache_key *key);
/* Whether one of the tags was invalidated after `began`, or an invalidation may have been missed. A
 * response without tags is stale after any invalidation. */
bool store_is_stale(const struct store *store, const uint64_t *tags, size_t count, uint64_t began);
/* Whether one of the tags was invalidated by number `first` or a later one. */
bool store_was_invalidated(const struct store *store, const uint64_t *tags, size_t count,
                           uint64_t first);
/* Stores the response unless it is stale. With ages.stale_after_commit, one that a commit outdated
 * is stored as stale. lifetime_us: until it is stale; negative: since. */
void store_put(struct store *store, const struct cache_key *key, struct cached_response *response,
               const uint64_t *tags, size_t count, uint64_t began, int64_t lifetime_us,
               struct metric_cell *hits);
void store_invalidate(struct store *store, const uint64_t *tags, size_t count);
/* Drops everything; what is being computed now becomes stale. */
void store_reset(struct store *store);

/* --- Redis level --- */
struct shared;
struct shared *shared_create(const char *url, int timeout_ms, struct err *err);
void shared_destroy(struct shared *shared);

struct shared_hit {
    struct cached_response *response; /* NULL: a miss */
    uint64_t *tags;                   /* malloc'ed */
    size_t tag_count;
    int64_t lifetime_us; /* until it is stale; negative: since */
    bool reachable;      /* Redis replied: `sequence` may guard a store */
    uint64_t sequence;
};
/* `view`: see cache_set_view. */
void shared_get(struct shared *shared, const struct cache_key *key, uint64_t view,
                struct shared_hit *hit);
/* Stores hit->response for lifetime_s, fresh and stale, unless one of its tags was invalidated
 * since hit->sequence. Does not wait for the reply. */
void shared_put(struct shared *shared, const struct cache_key *key, uint64_t view,
                const struct shared_hit *hit, int lifetime_s);

/* --- announcements --- */
#define CACHE_ANNOUNCED_PREFIX "ras:cache:announced:"
#define CACHE_ANNOUNCED_KEY_BYTES (sizeof CACHE_ANNOUNCED_PREFIX + 16)
#define CACHE_POSITION_FIELD "position" /* beside those of the partitions, which have slashes */
struct slice cache_announced_key(uint64_t view, char out[CACHE_ANNOUNCED_KEY_BYTES]);
/* The message with a position: CACHE_POSITION_MARK, the view in 16 digits, the position. Its length
 * tells it from tags. */
#define CACHE_POSITION_MARK 'P'
#define CACHE_POSITION_BYTES (1 + 16 + PG_POSITION_DIGITS)
/* A process announced a commit up to this position of the view's database. */
void cache_note_position(struct cache *cache, uint64_t view, struct slice position);
struct slice cache_dep_key(uint64_t tag, char out[CACHE_DEP_KEY_BYTES]);
bool cache_uses_redis(const struct cache *cache);
/* The first command on a subscriber's connection. Any reply but ANNOUNCE_SAME_RUN: all responses in
 * Redis were dropped. */
enum announce_greeting_reply {
    ANNOUNCE_SAME_RUN,
    ANNOUNCE_OTHER_RUN, /* the server was restarted or replaced */
    ANNOUNCE_NO_RUN     /* nobody has greeted it, or it has lost its contents since */
};
#define ANNOUNCE_GREETING_ARGS 6
extern const char *const announce_greeting[ANNOUNCE_GREETING_ARGS];

/* --- receives invalidations from other processes --- */
struct subscriber;
struct subscriber *subscriber_start(const char *url, int timeout_ms, struct cache *cache,
                                    struct err *err);
void subscriber_stop(struct subscriber *subscriber);
/* False: another server of Redis has taken over from the one of the subscription. Any thread. */
bool subscriber_is_current(const struct subscriber *subscriber);
/* Called by the subscriber when the subscription begins (true) or is lost (false). */
void cache_set_subscribed(struct cache *cache, bool subscribed);
/* All invalidations announced before this moment of the monotonic clock have arrived. */
void cache_set_received(struct cache *cache, int64_t until_us);
/* A number that no other cache has. */
uint64_t cache_make_id(void);
/* The process that announced the drop counts and logs it. */
void cache_drop_uncounted(struct cache *cache);

/* --- the cache, and computes under way; callers of flights hold the cache's lock --- */

/* One compute under way. Its leader and each waiter hold a reference. */
struct flight {
    struct flight *next;
    const struct cache_key *key; /* the leader's: valid while the flight is in the list */
    uint64_t began;
    uint64_t pending; /* the first invalidation that Redis had not confirmed at the begin */
    bool usable;      /* whether the cache was, at the begin */
    uint64_t view;    /* the cache's at the begin */
    pthread_cond_t landed;
    int refs;
    bool done;
    struct cached_response *response;
    bool failed; /* the response is a stale one, because of err */
    struct err err;
};

struct cache {
    pthread_mutex_t lock; /* store, flights, pending, subscribed, doubts, view */
    struct store store;
    struct flight *flights;        /* at most one for each request thread */
    struct cache_pending *pending; /* the open ones */
    bool subscribed;     /* invalidations of other processes arrive, or there is no Redis */
    int64_t received_us; /* all invalidations announced before have arrived */
    int doubts;          /* open calls of cache_doubt */
    uint64_t view;       /* 0: unknown */
    uint64_t id;         /* the last tag of announcements that are pending here: they come back */
    bool enabled;
    int ttl_s;
    int redis_timeout_ms;
    char *redis_url;
    cache_listener listener; /* NULL: none */
    void *listener_context;
    struct shared *shared; /* NULL without Redis */
    struct subscriber *subscriber;
    struct metric *hits;
    struct metric *misses;
    struct metric *stale;
    struct metric *refreshes;
    struct metric_cell *drops[CACHE_DROPS];
};

struct flight *cache_flight_begin(struct cache *cache, const struct cache_key *key);
/* One that a caller of this moment may join, or NULL. */
struct flight *cache_flight_find(struct cache *cache, const struct cache_key *key);
/* Releases the lock while it waits. *failed: the response is a stale one, because of err. */
struct cached_response *cache_flight_wait(struct cache *cache, struct flight *flight,
                                          int timeout_ms, bool *failed, struct err *err);
/* Removes the flight, whose response and err are set, from the list and wakes its waiters. */
void cache_flight_land(struct cache *cache, struct flight *flight);
bool cache_is_usable(const struct cache *cache);

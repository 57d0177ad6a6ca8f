/* cache: finished responses, first in the process, then in Redis. Any thread.
 *
 * A cached response depends on surrogate keys, which scripts and this code call tags: hash64 of the
 * ids that its route names. A commit invalidates tags. Guarantee: a response that was read before
 * a commit is not served after that commit's invalidation was announced. If it cannot be announced
 * (no Redis, or its process died before), the response is served for at most one second after it.
 * Guard: a reader notes the sequence of invalidations before it asks the database. It may store
 * only if none of its tags was invalidated since. In the process, a tag hashes to a bucket that
 * holds the number of its last invalidation. Redis holds the pure JSON under the route's key,
 * dependency sets tag -> keys, and the last invalidations (shared.c).
 *
 * A cached response belongs to the scripts that made it, and in Redis to the database it was read
 * from: for others it is a miss.
 *
 * A key may have times in which a response that has passed its age is still served (RFC 5861). A
 * response that a commit outdated is not, unless the key says so; nor is one where invalidations
 * may be missing. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct cache;
struct redis;
struct redisReply;

struct cache_options {
    const char *redis_url; /* "" = process level only */
    int redis_timeout_ms;
    int ttl_s;
    size_t max_bytes;
    bool enabled;
};

/* Reference counted, immutable. */
struct cached_response {
    int status;
    struct slice body;
    uint64_t hash;   /* hash64 of the body */
    char etag[20];   /* the same, quoted */
    int64_t made_us; /* of the monotonic clock; of one from Redis by the age that it had there */
    /* private: */
    int refs;
    _Atomic(struct cached_gzip *) gzip;
};
struct cached_response *cached_response_create(int status, struct slice body); /* copies */
struct cached_response *cached_response_ref(struct cached_response *response);
void cached_response_unref(struct cached_response *response);
/* The body in gzip, made by the first call; it lives as long as the response. data NULL: it would
 * not be shorter. */
struct slice cached_response_gzip(struct cached_response *response);
/* Whether cached_response_gzip returns at once. */
bool cached_response_is_gzipped(const struct cached_response *response);

struct cache *cache_create(const struct cache_options *options, struct err *err);
bool cache_start(struct cache *cache, struct err *err); /* the subscriber thread */
/* Sets the id of the database that responses are read from; several services may share a Redis.
 * Until the id is known, Redis is bypassed; a change drops this process's responses. */
void cache_set_view(struct cache *cache, uint64_t view);
void cache_destroy(struct cache *cache);

/* How long a 200 is served. Zeros: cache.ttl_s, and nothing stale. */
struct cache_ages {
    int ttl_s;
    /* For so long after ttl_s it is served at once, while one request of the process refreshes it
     * (RFC 5861 3). */
    int stale_while_revalidate_s;
    /* For so long after ttl_s it is served if it cannot be computed (RFC 5861 4). */
    int stale_if_error_s;
    /* A commit that invalidates its tags makes it stale, instead of dropping it. */
    bool stale_after_commit;
};

struct cache_key {
    struct slice text; /* data NULL: computed for each request */
    const char *type;  /* for the metrics */
    uint64_t scripts;  /* hash64 of the scripts and the route that make the response */
    struct cache_ages ages;
};

/* How a response came to be served. */
struct cache_serving {
    bool stale;
    bool wants_refresh; /* the caller sees to it that cache_refresh or cache_cancel_refresh follows:
                           until then nobody else is asked to */
    bool failed;        /* stale, because it could not be computed a moment ago */
};

/* Looks in the process level only. NULL: a miss, or the cache is bypassed because invalidations of
 * other processes do not arrive. */
struct cached_response *cache_lookup(struct cache *cache, const struct cache_key *key,
                                     struct cache_serving *serving);

/* Computes the response on a miss. Fills *tags, which the cache frees with free(). */
typedef struct cached_response *(*cache_compute)(void *context, uint64_t **tags, size_t *tag_count,
                                                 struct err *err);
/* Looks in the process, then in Redis, then computes once for all simultaneous callers of the key.
 * A caller that began after an invalidation does not join an older compute. A 404 lives at most 1 s
 * and only in the process; statuses other than 200 and 404 are not cached. With the cache disabled
 * each request computes. Where no response could be computed, or one with a status from 500, and a
 * stale one is served instead: `serving` and err say so. */
struct cached_response *cache_get(struct cache *cache, const struct cache_key *key, int timeout_ms,
                                  cache_compute compute, void *context,
                                  struct cache_serving *serving, struct err *err);

/* Computes a stale response again and replaces it. False: err; it stays, and is not refreshed for a
 * second. */
bool cache_refresh(struct cache *cache, const struct cache_key *key, cache_compute compute,
                   void *context, struct err *err);
/* The refresh that a lookup wanted does not take place: another lookup may want it after a second.
 */
void cache_cancel_refresh(struct cache *cache, const struct cache_key *key);

/* Called after each invalidation, of whichever process, on any thread and without a lock of the
 * cache: answers with these tags may have changed; count 0: all may. */
typedef void (*cache_listener)(void *context, const uint64_t *tags, size_t count);
/* Before the first invalidation; one listener. */
void cache_listen(struct cache *cache, cache_listener listener, void *context);
/* Whether the invalidations of all processes arrive at present; false without Redis. */
bool cache_hears(struct cache *cache);

/* After a commit: drops this process's responses with these tags. Duplicates are allowed. */
void cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count);

/* Commits of one thread whose announcement Redis has not confirmed. The thread owns it, zeroed at
 * first, until cache_end_pending. */
struct cache_pending {
    /* private: */
    struct cache_pending *next;
    uint64_t first, newer; /* invalidations; 0: none */
};
/* The same for a commit whose announcement is sent next; the one before it may still be pending.
 * Until its end this process takes no response with one of the tags from Redis. */
void cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                              struct cache_pending *pending);
/* Ends the older pending announcement: Redis has confirmed it, or cache_doubt was called. One
 * without tags was never pending. */
void cache_end_pending(struct cache *cache, struct cache_pending *pending);

/* The commits of one partition: a count that grows with each of them. */
struct cache_position {
    const char *name;      /* the partition, unique in the database */
    uint64_t before;       /* announcement: the count before the commit */
    uint64_t counted;      /* the count */
    const char *announced; /* drop-all: what Redis was seen to hold; NULL: unknown */
};

/* An invalidation for other processes, sent through Redis after a commit. */
struct cache_announcement {
    uint64_t view; /* see cache_set_view */
    const uint64_t *tags;
    size_t tag_count;
    const struct cache_position *positions; /* of the partitions in the commit */
    size_t position_count;
    /* What a replica must have replayed before it is asked for what this invalidates: all commits
     * announced; in PG_POSITION_DIGITS digits. NULL: nobody reads from replicas. */
    const char *position;
    /* The tags are pending here (cache_invalidate_pending) until the reply, or until a cache_doubt
     * that follows. The announcement then drops nothing in this process when it comes back. */
    bool is_pending;
};

/* Each of the following appends commands to `redis`, whose pipeline the caller runs; without Redis
 * they do nothing. A reply is an integer only where that is stated.
 *
 * After cache_invalidate: invalidates in Redis, publishes the invalidation, and records the
 * positions. The reply to the record is the integer 0 if a commit before this one was not
 * announced, else 1. An error among the replies: the announcement is incomplete. */
bool cache_append_announcement(struct cache *cache, struct redis *redis,
                               const struct cache_announcement *announcement, struct err *err);
/* For commits up to the positions that may not have been announced: makes all processes drop all
 * responses, unless Redis shows that each position was announced in the meantime; without positions
 * always. Ignores the tags. */
bool cache_append_drop_all(struct cache *cache, struct redis *redis,
                           const struct cache_announcement *announcement, struct err *err);
/* Queries the announced counts of the positions: the reply is an array of texts or nil (0). With a
 * `position` of any value the announced one follows. */
bool cache_append_positions_query(struct cache *cache, struct redis *redis,
                                  const struct cache_announcement *announcement, struct err *err);
/* Element i of a reply to that query, as a text; `none` for nil. NULL: the reply is another one
 * than of `count` elements. Good as long as the reply. */
const char *cache_announced(const struct redisReply *reply, size_t count, size_t i,
                            const char *none);

/* Announced counts are kept for a week. Keeps them for another one. The reply is an integer. */
bool cache_append_positions_renewal(struct cache *cache, struct redis *redis, uint64_t view,
                                    struct err *err);

/* Queries which process of the database's announced last, by the next function, that an audit found
 * no unannounced commit: the reply is a text, or nil if none has for the time that it gave. */
bool cache_append_auditor_query(struct cache *cache, struct redis *redis, uint64_t view,
                                struct err *err);
bool cache_append_auditor(struct cache *cache, struct redis *redis, uint64_t view,
                          const char *process, int valid_ms, struct err *err);

/* Why all responses were dropped, without a known invalidation of each: counted and logged. */
enum cache_drop {
    CACHE_DROP_SUBSCRIPTION_LOST, /* invalidations may be missed: drops this process's */
    CACHE_DROP_REDIS_RESTARTED,   /* its contents are lost or outdated: drops all processes' */
    CACHE_DROP_NOT_ANNOUNCED,     /* a commit of this process: drops its own, then all */
    CACHE_DROP_UNANNOUNCED,       /* a commit of another process: drops all processes' */
    CACHE_DROP_UNSURE,            /* unknown whether all commits were announced */
    CACHE_DROP_DATABASE_CHANGED,  /* this process reads another database */
    CACHE_DROPS,
    CACHE_DROP_NONE = CACHE_DROPS /* nothing is cached yet */
};
/* Drops this process's responses, including those being computed now. */
void cache_drop_all(struct cache *cache, enum cache_drop reason);

/* Bypasses the cache (true) because some commits could not be announced, until all processes have
 * dropped their responses (false). Calls come in pairs with the same reason; several pairs may be
 * open. */
void cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason);

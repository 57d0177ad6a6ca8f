/* cache: final answers, first in the process, then in Redis. Any thread.
 *
 * An answer depends on tags (ids of batches and essays). A commit touches tags. The promise: no
 * answer that was read before a commit is served after that commit's invalidation was announced,
 * nor, where it cannot be announced (no Redis, or its process died before), a second after it.
 * Guard: a reader notes the sequence of invalidations before it asks the database, and may store
 * only if none of its answer's tags was invalidated since. In the process a tag hashes to a bucket
 * that holds the number of its last invalidation. Redis holds the pure JSON under the route's key,
 * dependency sets tag → keys, and the last invalidations themselves (shared.c).
 *
 * An answer belongs to the scripts that made it, and in Redis to the database that it was read
 * from: to others it is a miss. */
#ifndef AGG_HOST_CACHE_CACHE_H
#define AGG_HOST_CACHE_CACHE_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct cache;
struct redis;

struct cache_options {
    const char *redis_url; /* "" = process level only */
    int redis_timeout_ms;
    int ttl_s;
    size_t max_bytes;
    bool enabled;
};

/* A finished answer, reference counted, immutable. */
struct answer {
    int status;
    struct slice body;
    uint64_t hash; /* hash64 of the body */
    char etag[20]; /* the same, quoted */
    /* private: */
    int refs;
};
struct answer *answer_create(int status, struct slice body); /* copies */
struct answer *answer_ref(struct answer *answer);
void answer_unref(struct answer *answer);

struct cache *cache_create(const struct cache_options *options, struct err *err);
bool cache_start(struct cache *cache, struct err *err); /* the subscriber thread */
/* Names the database that answers are read from, by a number that no other database has. Several
 * services may share a Redis: until the number is known no answer is taken from there or kept
 * there; where it changes, this process forgets all answers. */
void cache_set_view(struct cache *cache, uint64_t view);
void cache_destroy(struct cache *cache);

struct cache_key {
    struct slice text; /* absent (data NULL): it is computed each time */
    const char *type;  /* for the metrics */
    uint64_t scripts;  /* hash64 of what makes the answer */
};

/* The process level; NULL = miss (or bypassed: other processes' invalidations cannot be heard).
 * Fast path. */
struct answer *cache_lookup(struct cache *cache, const struct cache_key *key);

/* Computes the answer on a miss. Fills *tags (hash64 of each id; freed by the cache with free()).
 */
typedef struct answer *(*cache_compute)(void *context, uint64_t **tags, size_t *tag_count,
                                        struct err *err);
/* Lookup, then one compute for all simultaneous callers of the key (callers that began after an
 * invalidation do not join an older one), Redis in between. 404 answers live at most 1 s and only
 * in the process; other statuses than 200 and 404 are not kept. Where the cache is off every key is
 * computed each time. */
struct answer *cache_get(struct cache *cache, const struct cache_key *key, int timeout_ms,
                         cache_compute compute, void *context, struct err *err);

/* After a commit: drops dependants in this process. Duplicates allowed. */
void cache_invalidate(struct cache *cache, const uint64_t *tags, size_t count);

/* What one thread has committed, and Redis may not have done with yet. Zeroed at first; the thread
 * keeps it until it has ended. */
struct cache_pending {
    /* private: */
    struct cache_pending *next;
    uint64_t first, newer; /* invalidations; 0: none */
};
/* The same for a commit whose announcement is sent next, perhaps while that of the one before is on
 * its way: until it has ended this process takes no answer with such a tag from Redis. */
void cache_invalidate_pending(struct cache *cache, const uint64_t *tags, size_t count,
                              struct cache_pending *pending);
/* The older announcement has ended, or the only one: Redis has done it, or is doubted. */
void cache_end_pending(struct cache *cache, struct cache_pending *pending);

/* Where the commits of one partition stand: a count that grows with each of them. */
struct cache_position {
    const char *name;      /* of the partition, unique in the database */
    uint64_t before;       /* of an announcement: the count before its commit */
    uint64_t counted;      /* the count */
    const char *announced; /* of a demand to forget: what Redis was seen to hold; NULL: not known */
};

/* What a commit tells other processes, through Redis. */
struct cache_announcement {
    uint64_t view; /* see cache_set_view */
    const uint64_t *tags;
    size_t tag_count;
    const struct cache_position *positions; /* that it moved */
    size_t position_count;
};

/* Each appends commands to `redis`, whose pipeline the caller runs; nothing without Redis.
 *
 * After cache_invalidate: invalidates in Redis, tells other processes, and notes the positions,
 * whose reply is the integer 0 where a commit before this one was not announced, else 1. An error
 * among the replies: not all of it was done. */
bool cache_append_announcement(struct cache *cache, struct redis *redis,
                               const struct cache_announcement *announcement, struct err *err);
/* Where some commit up to the positions may not have been announced: all processes forget all
 * answers and keep none that is being read now, unless Redis shows that each of the positions was
 * announced meanwhile; without positions always. The tags are not looked at. */
bool cache_append_announcement_of_all(struct cache *cache, struct redis *redis,
                                      const struct cache_announcement *announcement,
                                      struct err *err);
/* Asks up to which counts the positions were announced: the reply is an array of texts or nil (0).
 */
bool cache_append_question(struct cache *cache, struct redis *redis,
                           const struct cache_announcement *announcement, struct err *err);

/* Why answers were dropped that nothing is known to have outdated: counted and logged. */
enum cache_drop {
    CACHE_DROP_SUBSCRIPTION_LOST, /* commits went unheard: this process' answers */
    CACHE_DROP_REDIS_RESTARTED,   /* it may hold what was outdated: those of all processes */
    CACHE_DROP_NOT_ANNOUNCED,     /* a commit by this process: its answers, then those of all */
    CACHE_DROP_UNANNOUNCED,       /* somebody's commit: those of all processes */
    CACHE_DROP_UNSURE,            /* whether all was announced cannot be found out */
    CACHE_DROP_DATABASE_CHANGED,  /* this process reads from another one */
    CACHE_DROPS,
    CACHE_DROP_NONE = CACHE_DROPS /* nothing is held yet */
};
/* Drops this process' answers, and keeps none that is being read now. */
void cache_forget(struct cache *cache, enum cache_drop reason);

/* Some commits could not be announced, so that Redis may hold what they have outdated: until that
 * is made good (false) answers are neither kept nor taken from there. Calls come in pairs, with the
 * same reason; several may be open. */
void cache_doubt(struct cache *cache, bool doubtful, enum cache_drop reason);

#endif

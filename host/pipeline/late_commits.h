/* late_commits: what is done about commits that their process has not announced to the caches: they
 * are announced in its place, or, if it is not known what they touched, all cached responses are
 * dropped. */
#pragma once

#include "bindings/pg.h"
#include "bindings/redis.h"
#include "cache/cache.h"

/* Whose connections serve, none of them in an exchange or a transaction; one thread at a time. */
struct late_commits {
    struct cache *cache;
    struct redis *redis;
    struct pg *pg;
    bool tells_position; /* replicas are read: an announcement has the position behind it */
    bool redis_lost;     /* Redis has lost their announcements: the reason of a drop */
};

/* A statement's time limit: short, since the end of a thread waits for it. */
#define LATE_COMMITS_TIMEOUT_MS 1000

/* Announces the commits. `late`: positions in the order of their names, with the count that was
 * announced of each. A partition of another count than that was announced meanwhile, or is late
 * again. False: it is not known what they touched, or it could not be announced. */
bool late_commits_announce(const struct late_commits *with, const struct cache_announcement *late);
/* The same, or drops all cached responses. True: Redis knows the counts. */
bool late_commits_make_known(const struct late_commits *with,
                             const struct cache_announcement *late);

/* announcer: invalidates cached responses after a commit, in this process at once and in others
 * through Redis, and stores the processed ids in Redis. Its own Redis connection lets the pipeline
 * go on without the replies. The pipeline's thread. */
#pragma once

#include <poll.h>

#include "bindings/pg_position.h"
#include "bindings/redis.h"
#include "cache/cache.h"
#include "batch.h"
#include "seen_budget.h"

struct announcer {
    struct redis *redis;                   /* owned; NULL: other processes receive nothing */
    bool under_way;                        /* commands are sent and not all replies are received */
    bool of_commit;                        /* they announce the oldest commit of `pending`, which
                                              has those with tags */
    char position[PG_POSITION_DIGITS + 1]; /* of the last commit; "": nobody asks for it */
    struct cache_pending pending;          /* commits whose announcement is unfinished */
    size_t announcing;                     /* commands that announce; those of ids follow */
    bool refused;                          /* Redis refused to announce */
    bool missed;               /* Redis replied that an earlier commit was not announced */
    int64_t rest_until_us;     /* after a refusal */
    int64_t ids_refused;       /* of the exchange under way */
    int64_t ids_rest_until_us; /* after a refusal of ids */
    struct seen_budget seen;
    bool caches_doubtful; /* a commit is unannounced: all cached responses must be dropped */
};

/* After offsets_note_committed: begins both. Borrows the batch for the call only. */
void announcer_begin(struct pipeline *pipeline, struct batch *batch);
/* Waits for the announcement under way. False: its connection cannot be used now, or there are no
 * cached responses, or all of them must be dropped. */
bool announcer_settle(struct pipeline *pipeline);
/* Continues without blocking. */
void announcer_progress(struct pipeline *pipeline);
/* For the owner's poll(2); fd -1: nothing to wait for. */
struct pollfd announcer_poll(const struct announcer *announcer);
/* Waits for the announcement, retries a failed one once, and frees the connection. */
void announcer_close(struct pipeline *pipeline);

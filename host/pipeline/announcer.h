/* announcer: tells the caches of this process, at once, and those of others, through Redis, what a
 * commit has outdated; and has Redis remember the ids of its events. It has a Redis connection of
 * its own, so that nobody waits for the answers. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_ANNOUNCER_H
#define AGG_HOST_PIPELINE_ANNOUNCER_H

#include <poll.h>

#include "bindings/redis.h"
#include "cache/cache.h"
#include "batch.h"

struct announcer {
    struct redis *redis;          /* owned; NULL: other processes receive nothing */
    bool under_way;               /* commands are sent, and not all are answered */
    bool of_commit;               /* what is under way announces `pending`, the older one */
    struct cache_pending pending; /* commits that Redis may not have been told of yet */
    bool refused;                 /* Redis has answered so to what is under way */
    bool missed;                  /* it has answered that a commit before was not announced */
    int64_t rest_until_us;        /* because it refused */
    bool caches_doubtful; /* Redis has not been told of a commit: all answers must be forgotten */
};

/* After the commit, once its offsets are noted: begins both. The batch is not needed afterwards. */
void announcer_begin(struct pipeline *pipeline, struct batch *batch);
/* Goes on with both, without waiting. */
void announcer_progress(struct pipeline *pipeline);
/* What the owner's poll has to wait for; fd -1: nothing. */
struct pollfd announcer_poll(const struct announcer *announcer);
/* Waits for what is under way; what could not be announced has a last chance. Frees the connection.
 */
void announcer_close(struct pipeline *pipeline);

#endif

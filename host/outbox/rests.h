/* rests: topics that cannot be written to for now, each until a time of its own, which grows with
 * every failure. One thread. */
#ifndef AGG_HOST_OUTBOX_RESTS_H
#define AGG_HOST_OUTBOX_RESTS_H

#include <stddef.h>
#include <stdint.h>

#define RESTS_MAX 64 /* topics; beyond it the one that rests longest makes room */

struct rest {
    char *topic;
    int64_t until_us;
    int64_t length_us;
};

struct rests {
    struct rest items[RESTS_MAX];
    size_t count;
};

/* The topic failed: it rests, unless it does already. Logs the first failure of several. */
void rests_begin(struct rests *rests, const char *topic, int64_t now_us, const char *reason);
/* The topic has taken a message. */
void rests_end(struct rests *rests, const char *topic);
/* The topics that rest at this time; how many. Borrowed until the next change. */
size_t rests_topics(const struct rests *rests, int64_t now_us, const char *topics[RESTS_MAX]);
void rests_free(struct rests *rests);

#endif

#include "announce_tags.h"

#include <unistd.h>

#include "bindings/pg_reads.h"
#include "bindings/redis.h"
#include "database_offsets.h"

#define TAGS_A_PIPELINE 5000
#define PAUSE_US 250000 /* Redis connections pause after a failure */

bool announce_tags_ask_position(struct pg *pg, const struct config *config, int timeout_ms,
                                struct announce_position *position, struct err *err) {
    struct pg_position committed;
    *position = (struct announce_position){0};
    if (config->postgres.read_urls.count == 0) {
        return true;
    }
    if (!offsets_ask_epoch(pg, timeout_ms, &position->view, err) ||
        !pg_position_ask(pg, timeout_ms, &committed, NULL, err)) {
        pg_reads_forget();
        return false;
    }
    pg_position_format(committed, position->text);
    pg_reads_announce(committed);
    return true;
}

static void announce_tags_note_reply(void *context, size_t index, const redisReply *reply) {
    (void)index;
    struct err *refusal = context;
    if (reply->type == REDIS_REPLY_ERROR && refusal->kind == ERR_NONE) {
        err_set(refusal, ERR_UNAVAILABLE, "Redis rejected a command: %s", reply->str);
    }
}

static bool announce_tags_try(struct cache *cache, struct redis *redis,
                              const struct cache_announcement *announcement, struct err *err) {
    struct err refusal = {0};
    if (!cache_append_announcement(cache, redis, announcement, err) ||
        !redis_run(redis, announce_tags_note_reply, &refusal, err)) {
        return false;
    }
    if (refusal.kind != ERR_NONE) {
        *err = refusal;
    }
    return refusal.kind == ERR_NONE;
}

static bool announce_tags_send_some(struct cache *cache, struct redis *redis,
                                    const struct cache_announcement *announcement, int attempts,
                                    struct err *err) {
    bool ok = announce_tags_try(cache, redis, announcement, err);
    while (!ok && --attempts > 0) {
        usleep(PAUSE_US);
        ok = announce_tags_try(cache, redis, announcement, err);
    }
    return ok;
}

bool announce_tags_send(struct cache *cache, struct redis *redis,
                        const struct cache_announcement *announcement, int attempts,
                        struct err *err) {
    struct cache_announcement some = *announcement;
    size_t done = 0, count = announcement->tag_count;
    bool ok = true;
    if (!redis || (count == 0 && announcement->position_count == 0)) {
        return true;
    }
    do {
        some.tags = announcement->tags + done;
        some.tag_count = count - done < TAGS_A_PIPELINE ? count - done : TAGS_A_PIPELINE;
        done += some.tag_count;
        some.position_count = done == count ? announcement->position_count : 0;
        ok = announce_tags_send_some(cache, redis, &some, attempts, err);
    } while (ok && done < count);
    return ok;
}

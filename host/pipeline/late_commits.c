#include "late_commits.h"

#include "bindings/pg_reads.h"
#include "base/log.h"
#include "unannounced.h"

#define LATE_COMMITS_UNANNOUNCED                                                                   \
    "commits were not announced to the caches: all cached responses are dropped"
#define LATE_COMMITS_LOST                                                                          \
    "redis has lost the announcements of commits: all cached responses are dropped"

struct late_replies {
    bool refused, forgot;
};

static void late_commits_on_forgotten(void *context, size_t index, const redisReply *reply) {
    struct late_replies *replies = context;
    (void)index;
    replies->refused |= reply->type != REDIS_REPLY_STATUS;
    replies->forgot = !replies->refused && strcmp(reply->str, "DROPPED") == 0;
}

static void late_commits_on_announced(void *context, size_t index, const redisReply *reply) {
    struct late_replies *replies = context;
    (void)index;
    replies->refused |= reply->type == REDIS_REPLY_ERROR;
}

/* A position behind the commits, where replicas are read. */
static bool late_commits_find_position(const struct late_commits *with,
                                       struct cache_announcement *about,
                                       char text[PG_POSITION_DIGITS + 1], struct err *err) {
    struct pg_position position;
    if (!with->tells_position) {
        return true;
    }
    if (!pg_position_ask(with->pg, LATE_COMMITS_TIMEOUT_MS, &position, NULL, err)) {
        return false;
    }
    pg_reads_announce(position);
    pg_position_format(position, text);
    about->position = text;
    return true;
}

/* What follows is safe, but drops more, or bypasses the cache. */
static void late_commits_note_failure(const struct late_replies *replies, const struct err *err) {
    const char *text = err->text[0]       ? err->text
                       : replies->refused ? "redis rejected a command"
                                          : NULL;
    if (text) {
        log_debug("late commits could not be made known", LOG_TEXT("error", text));
    }
}

bool late_commits_announce(const struct late_commits *with, const struct cache_announcement *late) {
    struct unannounced found;
    struct cache_announcement *about = &found.announcement;
    struct late_replies replies = {0};
    struct err err = {0};
    char position[PG_POSITION_DIGITS + 1];
    if (!unannounced_find(with->pg, LATE_COMMITS_TIMEOUT_MS, late, &found, &err)) {
        late_commits_note_failure(&replies, &err);
        return false;
    }
    bool ok = late_commits_find_position(with, about, position, &err);
    if (ok) {
        cache_invalidate(with->cache, about->tags, about->tag_count);
        ok = cache_append_announcement(with->cache, with->redis, about, &err) &&
             redis_run(with->redis, late_commits_on_announced, &replies, &err) && !replies.refused;
    }
    if (ok) {
        log_info("commits of another process were not announced to the caches: this one did so",
                 LOG_TEXT("partition", about->positions[0].name),
                 LOG_INT("partitions", (int64_t)about->position_count),
                 LOG_INT("keys", (int64_t)about->tag_count));
    } else {
        late_commits_note_failure(&replies, &err);
    }
    unannounced_free(&found);
    return ok;
}

static bool late_commits_forget(const struct late_commits *with,
                                const struct cache_announcement *late) {
    struct cache_announcement about = *late;
    struct late_replies replies = {0};
    struct err err = {0};
    char position[PG_POSITION_DIGITS + 1];
    bool ok = late_commits_find_position(with, &about, position, &err) &&
              cache_append_drop_all(with->cache, with->redis, &about, &err) &&
              redis_run(with->redis, late_commits_on_forgotten, &replies, &err) && !replies.refused;
    if (!ok) {
        late_commits_note_failure(&replies, &err);
    }
    if (ok && replies.forgot) {
        log_warning(with->redis_lost ? LATE_COMMITS_LOST : LATE_COMMITS_UNANNOUNCED,
                    LOG_TEXT("partition", about.positions[0].name),
                    LOG_TEXT("announced", about.positions[0].announced),
                    LOG_INT("committed", (int64_t)about.positions[0].counted),
                    LOG_INT("partitions", (int64_t)about.position_count));
        cache_drop_all(with->cache,
                       with->redis_lost ? CACHE_DROP_REDIS_RESTARTED : CACHE_DROP_UNANNOUNCED);
    }
    return ok;
}

bool late_commits_make_known(const struct late_commits *with,
                             const struct cache_announcement *late) {
    return late_commits_announce(with, late) || late_commits_forget(with, late);
}

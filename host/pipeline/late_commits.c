/* late_commits: what an audit does about commits that nobody has announced: it announces them, or,
 * if it is not known what they touched, drops all cached responses. The audit's thread. */
#include "announcement_audit_private.h"
#include "bindings/pg_reads.h"
#include "base/log.h"
#include "unannounced.h"

static void late_commits_on_forgotten(void *context, size_t index, const redisReply *reply) {
    struct audit *audit = context;
    (void)index;
    audit->refused |= reply->type != REDIS_REPLY_STATUS;
    audit->forgot = !audit->refused && strcmp(reply->str, "DROPPED") == 0;
}

/* A position behind the unannounced commits, where replicas are read. */
static bool late_commits_find_position(struct audit *audit, struct cache_announcement *about,
                                       char text[PG_POSITION_DIGITS + 1], struct err *err) {
    struct pg_position position;
    if (!audit->tells_position) {
        return true;
    }
    if (!pg_position_ask(audit->pg, AUDIT_STATEMENT_TIMEOUT_MS, &position, NULL, err)) {
        return false;
    }
    pg_reads_announce(position);
    pg_position_format(position, text);
    about->position = text;
    return true;
}

static void late_commits_on_announced(void *context, size_t index, const redisReply *reply) {
    struct audit *audit = context;
    (void)index;
    audit->refused |= reply->type == REDIS_REPLY_ERROR;
}

/* What follows is safe, but drops more, or bypasses the cache. */
static void late_commits_note_failure(const struct audit *audit, const struct err *err) {
    const char *text = err->text[0]     ? err->text
                       : audit->refused ? "redis rejected a command"
                                        : NULL;
    if (text) {
        log_debug("an audit could not make commits known", LOG_TEXT("error", text));
    }
}

/* Announces the commits in place of their process. A partition of another count than expected was
 * announced by another process meanwhile, or is late at the next audit. False: it is not known what
 * they touched, or it could not be announced. */
static bool late_commits_announce(struct audit *audit, const struct cache_announcement *late) {
    struct cache_announcement about;
    struct err err = {0};
    char position[PG_POSITION_DIGITS + 1];
    audit->refused = false;
    if (!unannounced_find(audit->pg, AUDIT_STATEMENT_TIMEOUT_MS, late, &about, &err)) {
        late_commits_note_failure(audit, &err);
        return false;
    }
    bool ok = late_commits_find_position(audit, &about, position, &err);
    if (ok) {
        cache_invalidate(audit->cache, about.tags, about.tag_count);
        ok = cache_append_announcement(audit->cache, audit->redis, &about, &err) &&
             redis_run(audit->redis, late_commits_on_announced, audit, &err) && !audit->refused;
    }
    if (ok) {
        log_info("commits of another process were not announced to the caches: this one did so",
                 LOG_TEXT("partition", about.positions[0].name),
                 LOG_INT("partitions", (int64_t)about.position_count),
                 LOG_INT("keys", (int64_t)about.tag_count));
    } else {
        late_commits_note_failure(audit, &err);
    }
    unannounced_free(&about);
    return ok;
}

/* True: Redis knows the counts. If it did not before, all cached responses are dropped. */
static bool late_commits_forget(struct audit *audit, const struct cache_announcement *late) {
    struct cache_announcement about = *late;
    struct err err = {0};
    char position[PG_POSITION_DIGITS + 1];
    audit->refused = audit->forgot = false;
    bool ok = late_commits_find_position(audit, &about, position, &err) &&
              cache_append_drop_all(audit->cache, audit->redis, &about, &err) &&
              redis_run(audit->redis, late_commits_on_forgotten, audit, &err) && !audit->refused;
    if (!ok) {
        late_commits_note_failure(audit, &err);
    }
    if (ok && audit->forgot) {
        log_warning("commits were not announced to the caches: all cached responses are dropped",
                    LOG_TEXT("partition", about.positions[0].name),
                    LOG_TEXT("announced", about.positions[0].announced),
                    LOG_INT("committed", (int64_t)about.positions[0].counted),
                    LOG_INT("partitions", (int64_t)about.position_count));
        cache_drop_all(audit->cache, CACHE_DROP_UNANNOUNCED);
    }
    return ok;
}

bool late_commits_make_known(struct audit *audit, const struct cache_announcement *late) {
    return late_commits_announce(audit, late) || late_commits_forget(audit, late);
}

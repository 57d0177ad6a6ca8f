#include "announcement_audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "bindings/pg.h"
#include "bindings/pg_position.h"
#include "bindings/pg_reads.h"
#include "bindings/redis.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "database_offsets.h"
#include "late_commits.h"
#include "pipeline/announcement_audit.sql.h"

#define CONNECT_TIMEOUT_MS 1500 /* short: audit_stop waits for it */
#define RENEWAL_US (3600 * 1000000LL)
#define RETRY_INTERVAL_US 1000000
#define UNPOSITIONED_US 60000000 /* how long the caches are bypassed */

enum { NAME, COUNTED, EPOCH, IN_RECOVERY = EPOCH + OFFSETS_EPOCH_COLUMNS };

struct audited {
    char *name;
    uint64_t counted;
    char announced[24]; /* the count in Redis */
    int64_t behind_us;  /* since when `announced` differs from `counted`; 0: it does not */
    bool was_higher;    /* `announced`, before it last changed; false if it equals `counted` */
};

struct audit {
    struct cache *cache;
    struct pg *pg;
    struct redis *redis;
    uint64_t view;
    struct audited *items; /* by name */
    size_t count;
    /* Where replicas are read (postgres.read_urls): the position in Redis, as of now and as of the
     * last audit that found all announced, with the sum of the counts then (0: none yet). */
    bool tells_position;
    char position[PG_POSITION_DIGITS + 1], position_then[PG_POSITION_DIGITS + 1];
    uint64_t counted_then;
    bool is_suspect;         /* the last audit with new commits found the position unmoved */
    int64_t unpositioned_us; /* commits were last found announced without it; 0: never */
    bool is_doubtful;        /* a cache_doubt is open */
    int64_t watched_us;      /* since when each audit has succeeded; 0: the last one failed */
    int64_t failed_us;       /* since when each audit has failed; 0: the last one succeeded */
    int64_t renewed_us;      /* when the counts in Redis were last kept for longer; 0: never */
    size_t behind;           /* partitions with an unannounced commit at the last audit */
    bool refused;            /* by Redis */
    bool shared;             /* another process has audited, says Redis */
    char process[40];        /* names this one in Redis */
    bool logged_database;    /* the log has that the database is unavailable */
    struct thread thread;
};

/* ---- the counts ---------------------------------------------------------------------------- */

static void announcement_audit_free_items(struct audited *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(items[i].name);
    }
    free(items);
}

void audit_take(struct audit *audit, uint64_t view, const struct cache_position *positions,
                size_t count) {
    struct audited *items = xcalloc(count + 1, sizeof *items);
    size_t old = view == audit->view ? 0 : audit->count;
    for (size_t i = 0; i < count; i++) {
        while (old < audit->count && strcmp(audit->items[old].name, positions[i].name) < 0) {
            old++;
        }
        if (old < audit->count && strcmp(audit->items[old].name, positions[i].name) == 0) {
            items[i] = audit->items[old];
        }
        items[i].name = xstrdup(positions[i].name);
        items[i].counted = positions[i].counted;
    }
    announcement_audit_free_items(audit->items, audit->count);
    audit->items = items;
    audit->count = count;
    audit->counted_then = view == audit->view ? audit->counted_then : 0;
    audit->view = view;
}

static bool announcement_audit_read(struct audit *audit, struct err *err) {
    struct pg_result *rows = NULL;
    if (!pg_wake(audit->pg, CONNECT_TIMEOUT_MS, err) ||
        !pg_query(audit->pg, "audit", counts_sql, NULL, LATE_COMMITS_TIMEOUT_MS, &rows, err)) {
        return false;
    }
    bool ok = strcmp(pg_rows_text(rows, 0, IN_RECOVERY), "t") != 0 ||
              err_set(err, ERR_UNAVAILABLE,
                      "the database is a standby: its counts may be older than the announced ones");
    bool is_empty = pg_rows_is_null(rows, 0, NAME); /* the one row then has the other columns */
    size_t count = ok && !is_empty ? (size_t)pg_rows_count(rows) : 0;
    struct cache_position *positions = xcalloc(count + 1, sizeof *positions);
    for (size_t i = 0; i < count; i++) {
        positions[i].name = pg_rows_text(rows, (int)i, NAME);
        positions[i].counted = strtoull(pg_rows_text(rows, (int)i, COUNTED), NULL, 10);
    }
    if (ok) {
        audit_take(audit, offsets_epoch(rows, 0, EPOCH), positions, count);
        cache_set_view(audit->cache, audit->view); /* no worker may be there to set it */
    } else {
        pg_disconnect(audit->pg); /* the next connection may reach the primary */
    }
    free(positions);
    pg_rows_free(rows);
    return ok;
}

/* ---- what was announced -------------------------------------------------------------------- */

static uint64_t announcement_audit_announced(const struct audited *item) {
    return strtoull(item->announced, NULL, 10);
}

static void announcement_audit_note_announced(struct audited *item, const char *announced) {
    if (strcmp(announced, item->announced) != 0) {
        uint64_t before = announcement_audit_announced(item);
        snprintf(item->announced, sizeof item->announced, "%s", announced);
        item->was_higher = announcement_audit_announced(item) < before;
        item->behind_us = 0; /* announcements arrive */
    }
}

static void announcement_audit_on_positions(void *context, size_t index, const redisReply *reply) {
    struct audit *audit = context;
    (void)index;
    size_t elements = audit->count + audit->tells_position;
    for (size_t i = 0; i < audit->count; i++) {
        const char *announced = cache_announced(reply, elements, i, "0");
        if (!announced) {
            audit->refused = true;
            return;
        }
        announcement_audit_note_announced(&audit->items[i], announced);
    }
    snprintf(audit->position, sizeof audit->position, "%s",
             audit->tells_position ? cache_announced(reply, elements, audit->count, "") : "");
}

/* Positions of all, or of those that were behind for AUDIT_PATIENCE_US. The caller frees them. */
static struct cache_announcement announcement_audit_positions(const struct audit *audit, bool all,
                                                              int64_t now_us) {
    struct cache_announcement about = {.view = audit->view};
    struct cache_position *positions = xcalloc(audit->count + 1, sizeof *positions);
    for (size_t i = 0; i < audit->count; i++) {
        const struct audited *item = &audit->items[i];
        bool is_late = item->behind_us > 0 && now_us - item->behind_us >= AUDIT_PATIENCE_US;
        if (all || is_late) {
            positions[about.position_count++] = (struct cache_position){
                .name = item->name,
                .counted = item->counted,
                .announced = item->announced,
            };
        }
    }
    about.positions = positions;
    return about;
}

static bool announcement_audit_ask(struct audit *audit, struct err *err) {
    struct cache_announcement about = announcement_audit_positions(audit, true, 0);
    about.position = audit->tells_position ? audit->position : NULL;
    audit->refused = false;
    bool ok =
        audit->count == 0 ||
        (cache_append_positions_query(audit->cache, audit->redis, &about, err) &&
         redis_run(audit->redis, announcement_audit_on_positions, audit, err) && !audit->refused);
    free((void *)about.positions);
    if (audit->refused) {
        err_set(err, ERR_UNAVAILABLE, "Redis sent an unexpected reply");
    }
    return ok;
}

/* ---- judging ------------------------------------------------------------------------------- */

static void announcement_audit_set_doubt(struct audit *audit, bool doubtful) {
    if (audit->is_doubtful != doubtful) {
        audit->is_doubtful = doubtful;
        cache_doubt(audit->cache, doubtful, CACHE_DROP_UNSURE);
    }
}

/* The number of partitions that are behind. */
static size_t announcement_audit_note_behind(struct audit *audit, int64_t now_us) {
    size_t behind = 0;
    for (size_t i = 0; i < audit->count; i++) {
        struct audited *item = &audit->items[i];
        if (announcement_audit_announced(item) == item->counted) {
            item->behind_us = 0;
            item->was_higher = false;
            continue;
        }
        item->behind_us = item->behind_us > 0 ? item->behind_us : now_us;
        behind++;
    }
    return behind;
}

static void announcement_audit_note_failure(struct audit *audit, int64_t now_us,
                                            const struct err *err) {
    audit->watched_us = 0;
    audit->failed_us = audit->failed_us > 0 ? audit->failed_us : now_us;
    if (now_us - audit->failed_us >= AUDIT_PATIENCE_US && !audit->is_doubtful) {
        log_warning("cannot read announced commits from redis: the caches are bypassed",
                    LOG_TEXT("error", err->text));
        announcement_audit_set_doubt(audit, true);
    }
}

static void announcement_audit_ignore(void *context, size_t index, const redisReply *reply) {
    (void)context, (void)index, (void)reply;
}

/* Commits whose announcement had no position: a reader may have asked a replica that lacks them. */
static void announcement_audit_note_unpositioned(struct audit *audit, int64_t now_us) {
    struct cache_announcement all = {.view = audit->view};
    struct err err = {0};
    if (audit->unpositioned_us == 0 || now_us - audit->unpositioned_us >= UNPOSITIONED_US) {
        log_warning("commits are announced without their position: set postgres.read_urls in the "
                    "processes that ingest, too; the caches are bypassed");
    }
    audit->unpositioned_us = now_us;
    pg_reads_forget();
    announcement_audit_set_doubt(audit, true);
    if (!cache_append_drop_all(audit->cache, audit->redis, &all, &err) ||
        !redis_run(audit->redis, announcement_audit_ignore, NULL, &err)) {
        log_debug("cached responses could not be dropped", LOG_TEXT("error", err.text));
    }
}

/* With all announced: each commit since the last such audit has moved the position. Except one
 * whose record another worker's announcement, asked for before the commit was visible, has covered:
 * the next audit with new commits decides. */
static void announcement_audit_check_position(struct audit *audit, int64_t now_us) {
    uint64_t counted = 1; /* never 0 */
    for (size_t i = 0; i < audit->count; i++) {
        counted += audit->items[i].counted;
    }
    if (audit->counted_then == 0) {
        audit->is_suspect = false;
    } else if (counted != audit->counted_then) {
        bool is_unmoved = strcmp(audit->position, audit->position_then) == 0;
        if (is_unmoved && audit->is_suspect) {
            announcement_audit_note_unpositioned(audit, now_us);
        }
        audit->is_suspect = is_unmoved;
    }
    audit->counted_then = counted;
    memcpy(audit->position_then, audit->position, sizeof audit->position);
}

static bool announcement_audit_lacks_positions(const struct audit *audit, int64_t now_us) {
    return audit->unpositioned_us > 0 && now_us - audit->unpositioned_us < UNPOSITIONED_US;
}

/* Redis has lost announcements: it holds less than it did, or nothing of this database. */
static bool announcement_audit_redis_lost(const struct audit *audit) {
    bool lost = false, holds_any = false;
    for (size_t i = 0; i < audit->count; i++) {
        lost = lost || audit->items[i].was_higher;
        holds_any = holds_any || announcement_audit_announced(&audit->items[i]) > 0;
    }
    return lost || !holds_any;
}

static bool announcement_audit_make_known(const struct audit *audit,
                                          const struct cache_announcement *late) {
    struct late_commits with = {audit->cache, audit->redis, audit->pg, audit->tells_position,
                                announcement_audit_redis_lost(audit)};
    return late_commits_make_known(&with, late);
}

/* Otherwise the counts would be unknown after a week without a commit, and all responses be
 * dropped.
 */
static void announcement_audit_renew(struct audit *audit, int64_t now_us) {
    struct err err = {0};
    bool due = audit->renewed_us > 0 && now_us - audit->renewed_us >= RENEWAL_US;
    if (audit->renewed_us == 0 || due) {
        audit->renewed_us = now_us;
    }
    if (due && (!cache_append_positions_renewal(audit->cache, audit->redis, audit->view, &err) ||
                !redis_run(audit->redis, announcement_audit_ignore, NULL, &err))) {
        log_debug("announced counts could not be kept for longer", LOG_TEXT("error", err.text));
    }
}

void audit_judge(struct audit *audit, int64_t now_us) {
    struct err err = {0};
    if (!announcement_audit_ask(audit, &err)) {
        announcement_audit_note_failure(audit, now_us, &err);
        return;
    }
    audit->failed_us = 0;
    if (audit->watched_us == 0) { /* times from before the failure do not count */
        audit->watched_us = now_us;
        for (size_t i = 0; i < audit->count; i++) {
            audit->items[i].behind_us = 0;
        }
    }
    audit->behind = announcement_audit_note_behind(audit, now_us);
    struct cache_announcement late = announcement_audit_positions(audit, false, now_us);
    bool all_announced = late.position_count == 0 || announcement_audit_make_known(audit, &late);
    free((void *)late.positions);
    if (audit->behind == 0) {
        announcement_audit_renew(audit, now_us);
    }
    if (audit->tells_position && audit->behind == 0) {
        announcement_audit_check_position(audit, now_us);
    }
    if (!all_announced || announcement_audit_lacks_positions(audit, now_us)) {
        announcement_audit_set_doubt(audit, true);
    } else if (audit->behind == 0 || now_us - audit->watched_us >= AUDIT_PATIENCE_US) {
        announcement_audit_set_doubt(audit, false);
    }
}

/* ---- processes that share the audits --------------------------------------------------------- */

static void announcement_audit_on_auditor(void *context, size_t index, const redisReply *reply) {
    struct audit *audit = context;
    (void)index;
    audit->shared = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, audit->process) != 0;
}

bool audit_is_shared(struct audit *audit) {
    struct err err = {0};
    audit->shared = false;
    /* Where replicas are read, each process checks the position, too. */
    return !audit->tells_position && audit->watched_us > 0 && audit->behind == 0 &&
           !audit->is_doubtful &&
           cache_append_auditor_query(audit->cache, audit->redis, audit->view, &err) &&
           redis_run(audit->redis, announcement_audit_on_auditor, audit, &err) && audit->shared;
}

void audit_share(struct audit *audit, int64_t began_us) {
    struct err err = {0};
    int64_t valid_ms = AUDIT_SHARED_MS - (clock_monotonic_us() - began_us) / 1000;
    if (audit->watched_us == 0 || audit->behind > 0 || audit->is_doubtful || valid_ms <= 0) {
        return;
    }
    if (!cache_append_auditor(audit->cache, audit->redis, audit->view, audit->process,
                              (int)valid_ms, &err) ||
        !redis_run(audit->redis, announcement_audit_ignore, NULL, &err)) {
        log_debug("cannot share an audit", LOG_TEXT("error", err.text));
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Returns microseconds until the next audit. Without the database the cache stays in use: its
 * responses are the only ones then. */
static int64_t announcement_audit_run(struct audit *audit) {
    struct err err = {0};
    FAULT_POINT("audit");
    if (audit_is_shared(audit)) {
        return AUDIT_INTERVAL_US;
    }
    int64_t began_us = clock_monotonic_us();
    bool ok = announcement_audit_read(audit, &err);
    if (ok) {
        audit_judge(audit, clock_monotonic_us());
        audit_share(audit, began_us);
    } else if (!audit->logged_database) {
        log_warning("cannot read committed counts from the database: cached responses are served "
                    "unaudited",
                    LOG_TEXT("error", err.text));
    }
    audit->logged_database = !ok;
    return ok ? AUDIT_INTERVAL_US : RETRY_INTERVAL_US;
}

static void *announcement_audit_main(void *argument) {
    struct audit *audit = argument;
    bool stopping = false;
    while (!stopping) {
        int64_t next_us = clock_monotonic_us() + announcement_audit_run(audit);
        thread_lock(&audit->thread);
        while (thread_sleep(&audit->thread, next_us)) {
        }
        stopping = audit->thread.stopping;
        thread_unlock(&audit->thread);
    }
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------ */

struct audit *audit_create(const struct config *config, struct cache *cache, struct err *err) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator audit",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = LATE_COMMITS_TIMEOUT_MS,
        .uncounted = true,
    };
    struct redis *redis = redis_create(config->redis.url, config->redis.timeout_ms, err);
    if (!redis) {
        return NULL;
    }
    struct audit *audit = xcalloc(1, sizeof *audit);
    audit->cache = cache;
    audit->redis = redis;
    audit->pg = pg_create(&options);
    audit->tells_position = config->postgres.read_urls.count > 0;
    snprintf(audit->process, sizeof audit->process, "%d:%" PRIx64, (int)getpid(),
             (uint64_t)clock_wall_us());
    thread_init(&audit->thread);
    return audit;
}

void audit_destroy(struct audit *audit) {
    announcement_audit_set_doubt(audit, false);
    announcement_audit_free_items(audit->items, audit->count);
    pg_destroy(audit->pg);
    redis_destroy(audit->redis);
    thread_free(&audit->thread);
    free(audit);
}

struct audit *audit_start(const struct config *config, struct cache *cache, struct err *err) {
    if (!config->redis.url[0] || !config->cache.enabled) {
        return NULL;
    }
    struct audit *audit = audit_create(config, cache, err);
    if (!audit) {
        return NULL;
    }
    audit->is_doubtful = true;
    cache_doubt(cache, true, CACHE_DROP_NONE);
    if (!thread_start(&audit->thread, announcement_audit_main, audit, "announcement audit", err)) {
        audit_destroy(audit);
        return NULL;
    }
    return audit;
}

void audit_stop(struct audit *audit) {
    if (!audit) {
        return;
    }
    thread_stop(&audit->thread);
    audit_destroy(audit);
}

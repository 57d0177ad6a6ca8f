/* announcement_audit_private: what the files of the audit share. announcement_audit.c compares the
 * counts, late_commits.c acts on commits that nobody has announced. */
#pragma once

#include "announcement_audit.h"
#include "base/thread.h"
#include "bindings/pg.h"
#include "bindings/pg_position.h"
#include "bindings/redis.h"

#define AUDIT_STATEMENT_TIMEOUT_MS 1000 /* short: audit_stop waits for it */

struct audited {
    char *name;
    uint64_t counted;
    char announced[24]; /* the count in Redis */
    int64_t behind_us;  /* since when `announced` differs from `counted`; 0: it does not */
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
    size_t behind;           /* partitions with an unannounced commit at the last audit */
    bool refused, forgot;    /* replies of Redis */
    bool shared;             /* the same: another process has audited */
    char process[40];        /* names this one in Redis */
    bool logged_database;    /* the log has that the database is unavailable */
    struct thread thread;
};

/* Announces the late commits in place of their process, or drops all cached responses. True: Redis
 * knows the counts. */
bool late_commits_make_known(struct audit *audit, const struct cache_announcement *late);

/* announcement_audit: finds commits that were not announced to the caches. A process may die or
 * lose Redis between commit and announcement; Redis may restart with old data. Each process
 * compares the event counts of the partitions in the database with those announced in Redis. If
 * Redis stays behind, the first process that sees it announces what the commits touched, or, if
 * that is not known, drops all cached responses of all processes. */
#pragma once

#include "cache/cache.h"
#include "config/config.h"

struct audit;

/* Starts a thread with its own connections. The cache is bypassed until the first audit that finds
 * everything announced. NULL without err: Redis or the cache is off. Borrows both arguments. */
struct audit *audit_start(const struct config *config, struct cache *cache, struct err *err);
void audit_stop(struct audit *audit);

/* ---- steps of the thread, for tests; one thread at a time ----------------------------------- */

/* Without a thread and without connecting. */
struct audit *audit_create(const struct config *config, struct cache *cache, struct err *err);
void audit_destroy(struct audit *audit);
/* Takes the counts from the caller, not the database: names in ascending order, and counts. */
void audit_take(struct audit *audit, uint64_t view, const struct cache_position *positions,
                size_t count);
/* Compares them with Redis. Announces commits that were unannounced for AUDIT_PATIENCE_US, or drops
 * all cached responses. now_us: monotonic. */
void audit_judge(struct audit *audit, int64_t now_us);

/* Another process has audited all partitions within the last AUDIT_SHARED_MS and found no
 * unannounced commit, and neither has this one's last audit: an audit would repeat its queries. */
bool audit_is_shared(struct audit *audit);
/* After audit_judge: tells the other processes if that found no unannounced commit. began_us: when
 * the counts were queried, monotonic. */
void audit_share(struct audit *audit, int64_t began_us);

/* How long an audit stands for those of other processes. An unannounced commit that it has just
 * missed is found by one of theirs AUDIT_INTERVAL_US later, still within the second. */
#define AUDIT_SHARED_MS 100
/* Time between two audits, and time that an announcement may take. Together below a second, the age
 * up to which an outdated response may be served. */
#define AUDIT_INTERVAL_US 400000
#define AUDIT_PATIENCE_US 350000

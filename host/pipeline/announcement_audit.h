/* announcement_audit: whether all that was committed was announced to the caches. A process may
 * die, or lose its Redis, between a commit and its announcement; Redis may come back with what it
 * held long ago. So each process compares, some times a second, what each partition's commits have
 * counted in the database with what Redis has been told of: where that falls behind and stays
 * there, all answers are forgotten, by the process that sees it first. */
#ifndef AGG_HOST_PIPELINE_ANNOUNCEMENT_AUDIT_H
#define AGG_HOST_PIPELINE_ANNOUNCEMENT_AUDIT_H

#include "cache/cache.h"
#include "config/config.h"

struct audit;

/* Starts the thread, with connections of its own. Until it has found once that all was announced,
 * the cache keeps and takes nothing. NULL without err where there is nothing to compare: no Redis,
 * or no cache. Both arguments must outlive it. */
struct audit *audit_start(const struct config *config, struct cache *cache, struct err *err);
void audit_stop(struct audit *audit);

/* ---- its steps, one thread at a time; for the thread, and for tests ------------------------- */

/* Without a thread; nothing is asked yet. */
struct audit *audit_create(const struct config *config, struct cache *cache, struct err *err);
void audit_destroy(struct audit *audit);
/* Reads the counts from the database. */
bool audit_read(struct audit *audit, struct err *err);
/* The same, from the caller: names in ascending order, and counts. */
void audit_take(struct audit *audit, uint64_t view, const struct cache_position *positions,
                size_t count);
/* Compares them with Redis at a time of the monotonic clock, and has everything forgotten where
 * something was not announced for AUDIT_PATIENCE_US. */
void audit_judge(struct audit *audit, int64_t now_us);

/* Between two looks; and how long an announcement may be on its way. Together less than a second.
 */
#define AUDIT_INTERVAL_US 400000
#define AUDIT_PATIENCE_US 350000

#endif

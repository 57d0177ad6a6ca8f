/* sweep_announce: tells the caches of a commit of the sweep. The count of removed rows is announced
 * as that of a partition's events is: if the process dies before it, the audit of the commits
 * (pipeline/announcement_audit.h) finds the gap and drops all cached responses. */
#pragma once

#include "sweep.h"

/* Of the sweep's tags, which it empties. removed: rows of the table that have left so far; rows:
 * how many of them by this commit. Without a cache it announces nothing, and the audits of
 * processes that have one drop all. */
void sweep_announce(struct sweep *sweep, const struct view_table *table, int64_t removed,
                    int64_t rows);

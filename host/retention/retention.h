/* retention: a thread that moves the horizons of the view, a day at a time, and deletes what has
 * left (sweep.h). Several processes may run it on one database: one works, the others look again
 * later. A view without `retention` costs no query and no wake-up. */
#pragma once

#include "base/buffer.h"
#include "cache/cache.h"
#include "script/script.h"

struct retention;

/* Needs no database. What it removes is gone for good: it waits for retention_release. NULL: err is
 * set. */
struct retention *retention_start(struct script_generation *generation, struct cache *cache,
                                  struct err *err);
/* Ends after the transaction under way, joins the thread, frees. NULL is allowed. */
void retention_stop(struct retention *retention);
/* Works by this generation's view after the transaction under way; `held`: after retention_release.
 * Takes a reference. Any thread; NULL is allowed. */
void retention_replace_scripts(struct retention *retention, struct script_generation *generation,
                               bool held);
/* The generation will not be taken back. Any thread; NULL is allowed. */
void retention_release(struct retention *retention);
/* Appends `"retention":[…]`: the horizons as the thread last saw them. NULL is allowed. */
void retention_report(struct retention *retention, struct buffer *json);

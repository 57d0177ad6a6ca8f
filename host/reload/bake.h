/* bake: whether the scripts that run since a reload reject more events than those before. Counts
 * by the ingestion's own metrics. Guarded by whoever holds it. */
#ifndef AGG_HOST_RELOAD_BAKE_H
#define AGG_HOST_RELOAD_BAKE_H

#include "ingest/ingest.h"

struct bake {
    const struct ingest *ingest;
    const struct script_generation *running; /* borrowed: kept while it runs */
    struct script_counts began;              /* its counts when it began to run */
    double share_before; /* rejected of the events that the scripts before it handled */
    double margin;       /* a share */
    int64_t until_us;    /* of the monotonic clock; 0: no trial is on */
};

enum bake_verdict { BAKE_NONE, BAKE_GOES_ON, BAKE_PASSED, BAKE_FAILED };

void bake_init(struct bake *bake, const struct ingest *ingest,
               const struct script_generation *running);
/* Other scripts run from now on; on trial where settings say so. Without a trial (a rollback) it is
 * only noted that they began. */
void bake_begin(struct bake *bake, const struct script_generation *running, bool on_trial);
/* Looks, now: failed where the breaker has stopped a worker, or the share is larger by more than
 * the margin, of BAKE_LEAST_EVENTS or more and with at least BAKE_LEAST_REJECTED of them.
 * `reason` (of the failure) is for people. A verdict ends the trial. */
enum bake_verdict bake_look(struct bake *bake, char *reason, size_t reason_size);

#endif

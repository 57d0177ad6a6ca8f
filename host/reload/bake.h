/* bake: judges new scripts after a reload: do they reject more events than the scripts before?
 * Counts by the ingestion's own metrics. The caller locks. */
#pragma once

#include "script/script.h"

struct bake {
    const struct script_generation *running; /* borrowed; lives while it runs */
    struct script_counts began;              /* its counts when it started */
    double share_before; /* rejected by the scripts before, of the events that they handled */
    double margin;       /* a share, as share_before */
    int64_t until_us;    /* of the monotonic clock; 0: no bake is under way */
};

enum bake_verdict { BAKE_NONE, BAKE_GOES_ON, BAKE_PASSED, BAKE_FAILED };

void bake_init(struct bake *bake, const struct script_generation *running);
/* The running scripts are others now. Starts a bake if `judged` and if scripts.trial_s asks for
 * one; else (a rollback) only notes the counts. */
void bake_begin(struct bake *bake, const struct script_generation *running, bool judged);
#define BAKE_LEAST_EVENTS 20
#define BAKE_LEAST_REJECTED 5
/* BAKE_FAILED: the breaker has stopped a worker (`stopped`: how many), or at least
 * BAKE_LEAST_REJECTED of at least BAKE_LEAST_EVENTS events were rejected and the share grew by more
 * than the margin; `reason` is for people. A verdict ends the bake. */
enum bake_verdict bake_look(struct bake *bake, size_t stopped, char *reason, size_t reason_size);

#include "bake.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

static struct script_counts bake_since_began(const struct bake *bake) {
    struct script_counts now = script_generation_counts(bake->running);
    return (struct script_counts){now.handled - bake->began.handled,
                                  now.rejected - bake->began.rejected};
}

static double bake_share_of(struct script_counts counts) {
    return counts.handled > 0 ? (double)counts.rejected / (double)counts.handled : 0;
}

void bake_init(struct bake *bake, const struct script_generation *running) {
    *bake = (struct bake){.running = running};
    bake->began = script_generation_counts(running);
}

void bake_begin(struct bake *bake, const struct script_generation *running, bool judged) {
    const struct config *config = script_generation_config(running);
    bake->share_before = bake_share_of(bake_since_began(bake));
    bake->running = running;
    bake->began = script_generation_counts(running);
    bake->margin = config->scripts.trial_margin_percent / 100.0;
    bake->until_us = judged && config->scripts.trial_s > 0
                         ? clock_monotonic_us() + config->scripts.trial_s * 1000000LL
                         : 0;
}

static bool bake_has_failed(const struct bake *bake, size_t stopped, char *reason,
                            size_t reason_size) {
    struct script_counts counts = bake_since_began(bake);
    if (stopped > 0) {
        snprintf(reason, reason_size, "the breaker of a handler is open");
        return true;
    }
    if (counts.handled < BAKE_LEAST_EVENTS || counts.rejected < BAKE_LEAST_REJECTED ||
        bake_share_of(counts) <= bake->share_before + bake->margin) {
        return false;
    }
    snprintf(reason, reason_size,
             "%" PRIu64 " of %" PRIu64 " events were rejected, %.1f %% instead of %.1f %%",
             counts.rejected, counts.handled, bake_share_of(counts) * 100,
             bake->share_before * 100);
    return true;
}

enum bake_verdict bake_look(struct bake *bake, size_t stopped, char *reason, size_t reason_size) {
    enum bake_verdict verdict = BAKE_GOES_ON;
    if (bake->until_us == 0) {
        return BAKE_NONE;
    }
    if (bake_has_failed(bake, stopped, reason, reason_size)) {
        verdict = BAKE_FAILED;
    } else if (clock_monotonic_us() >= bake->until_us) {
        verdict = BAKE_PASSED;
    }
    bake->until_us = verdict == BAKE_GOES_ON ? bake->until_us : 0;
    return verdict;
}

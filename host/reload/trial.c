#include "trial.h"

#include <inttypes.h>
#include <stdio.h>

#include "../base/clock.h"

#define TRIAL_LEAST_EVENTS 20
#define TRIAL_LEAST_REJECTED 5

/* What the running scripts alone have handled, since they began to run. */
static struct script_counts since_began(const struct trial *trial) {
    struct script_counts now = script_generation_counts(trial->running);
    return (struct script_counts){now.handled - trial->began.handled,
                                  now.rejected - trial->began.rejected};
}

static double share_of(struct script_counts counts) {
    return counts.handled > 0 ? (double)counts.rejected / (double)counts.handled : 0;
}

void trial_init(struct trial *trial, const struct ingest *ingest,
                const struct script_generation *running) {
    *trial = (struct trial){.ingest = ingest, .running = running};
    trial->began = script_generation_counts(running);
}

void trial_begin(struct trial *trial, const struct script_generation *running, bool on_trial) {
    const struct config *config = script_generation_config(running);
    trial->share_before = share_of(since_began(trial));
    trial->running = running;
    trial->began = script_generation_counts(running);
    trial->margin = config->scripts.trial_margin_percent / 100.0;
    trial->until_us = on_trial && config->scripts.trial_s > 0
                          ? clock_monotonic_us() + config->scripts.trial_s * 1000000LL
                          : 0;
}

static bool has_failed(const struct trial *trial, char *reason, size_t reason_size) {
    struct script_counts counts = since_began(trial);
    if (ingest_stopped(trial->ingest) > 0) {
        snprintf(reason, reason_size, "a handler rejects so much that its topics wait");
        return true;
    }
    if (counts.handled < TRIAL_LEAST_EVENTS || counts.rejected < TRIAL_LEAST_REJECTED ||
        share_of(counts) <= trial->share_before + trial->margin) {
        return false;
    }
    snprintf(reason, reason_size,
             "%" PRIu64 " of %" PRIu64 " events were rejected, %.1f %% instead of %.1f %%",
             counts.rejected, counts.handled, share_of(counts) * 100, trial->share_before * 100);
    return true;
}

enum trial_verdict trial_look(struct trial *trial, char *reason, size_t reason_size) {
    enum trial_verdict verdict = TRIAL_GOES_ON;
    if (trial->until_us == 0) {
        return TRIAL_NONE;
    }
    if (has_failed(trial, reason, reason_size)) {
        verdict = TRIAL_FAILED;
    } else if (clock_monotonic_us() >= trial->until_us) {
        verdict = TRIAL_PASSED;
    }
    trial->until_us = verdict == TRIAL_GOES_ON ? trial->until_us : 0;
    return verdict;
}

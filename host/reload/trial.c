#include "trial.h"

#include <stdio.h>

#include "../base/clock.h"
#include "../ingest/pipeline.h"
#include "../base/metrics.h"

#define TRIAL_LEAST_EVENTS 20
#define TRIAL_LEAST_REJECTED 5

static struct trial_counts count(void) {
    return (struct trial_counts){
        metric_value(metric_single(METRIC_COUNTER, PIPELINE_PROCESSED_METRIC, "")),
        metric_value(metric_single(METRIC_COUNTER, PIPELINE_REJECTED_METRIC, "")),
    };
}

static struct trial_counts since(struct trial_counts began) {
    struct trial_counts now = count();
    return (struct trial_counts){now.processed - began.processed, now.rejected - began.rejected};
}

static double share_of(struct trial_counts counts) {
    return counts.processed > 0 ? counts.rejected / counts.processed : 0;
}

void trial_init(struct trial *trial, const struct ingest *ingest) {
    *trial = (struct trial){.ingest = ingest, .began = count()};
}

void trial_begin(struct trial *trial, const struct config *config, bool on_trial) {
    trial->share_before = share_of(since(trial->began));
    trial->settles = ingest_settles(trial->ingest);
    trial->began = count();
    trial->margin = config->scripts.trial_margin_percent / 100.0;
    trial->until_us = on_trial && config->scripts.trial_s > 0
                          ? clock_monotonic_us() + config->scripts.trial_s * 1000000LL
                          : 0;
}

static bool has_failed(const struct trial *trial, char *reason, size_t reason_size) {
    struct trial_counts counts = since(trial->began);
    if (ingest_stopped(trial->ingest) > 0) {
        snprintf(reason, reason_size, "a handler rejects so much that its topics wait");
        return true;
    }
    if (counts.processed < TRIAL_LEAST_EVENTS || counts.rejected < TRIAL_LEAST_REJECTED ||
        share_of(counts) <= trial->share_before + trial->margin) {
        return false;
    }
    snprintf(reason, reason_size, "%.0f of %.0f events were rejected, %.1f %% instead of %.1f %%",
             counts.rejected, counts.processed, share_of(counts) * 100, trial->share_before * 100);
    return true;
}

enum trial_verdict trial_look(struct trial *trial, char *reason, size_t reason_size) {
    enum trial_verdict verdict = TRIAL_GOES_ON;
    if (trial->until_us == 0) {
        return TRIAL_NONE;
    }
    trial->settles = trial->settles && ingest_settles(trial->ingest);
    if (trial->settles) { /* what was counted until now is not the new scripts' alone */
        trial->began = count();
    } else if (has_failed(trial, reason, reason_size)) {
        verdict = TRIAL_FAILED;
    } else if (clock_monotonic_us() >= trial->until_us) {
        verdict = TRIAL_PASSED;
    }
    trial->until_us = verdict == TRIAL_GOES_ON ? trial->until_us : 0;
    return verdict;
}

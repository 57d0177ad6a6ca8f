#include "after_commit.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/metrics.h"
#include "database_offsets.h"
#include "pipeline.h"
#include "verdicts.h"

static struct metric_cell *after_commit_cell(bool uncounted, enum metric_type type,
                                             const char *name, const char *help) {
    return uncounted ? metric_unshown(type) : metric_single(type, name, help);
}

void after_commit_make_metrics(struct commit_metrics *metrics, bool uncounted) {
    *metrics = (struct commit_metrics){
        .processed = after_commit_cell(uncounted, METRIC_COUNTER, "ras_messages_processed_total",
                                       "Events committed."),
        .duplicates = after_commit_cell(uncounted, METRIC_COUNTER, "ras_duplicate_messages_total",
                                        "Events whose id Redis held: already committed."),
        .ignored = after_commit_cell(uncounted, METRIC_COUNTER, "ras_ignored_messages_total",
                                     "Events that their handler ignores."),
        .expired = after_commit_cell(uncounted, METRIC_COUNTER, "ras_expired_messages_total",
                                     "Events about rows that have left the view, by `retention`."),
        .superseded = after_commit_cell(uncounted, METRIC_COUNTER, "ras_superseded_messages_total",
                                        "Events that lost to another one of their batch."),
        .rejected = after_commit_cell(uncounted, METRIC_COUNTER, "ras_rejected_messages_total",
                                      "Events rejected for any reason."),
        .rows = after_commit_cell(uncounted, METRIC_COUNTER, "ras_rows_written_total",
                                  "Merged rows sent to the database."),
        .rows_superseded = after_commit_cell(uncounted, METRIC_COUNTER, "ras_rows_superseded_total",
                                             "Merged rows that changed nothing in the database."),
        .merges = after_commit_cell(uncounted, METRIC_COUNTER, "ras_merges_total",
                                    "Merges that handlers asked for."),
        .batch_events = after_commit_cell(uncounted, METRIC_GAUGE, "ras_batch_events",
                                          "Events of the last committed transaction."),
        .commit_seconds =
            after_commit_cell(uncounted, METRIC_HISTOGRAM, "ras_db_transaction_duration_seconds",
                              "From the first byte sent to the reply to COMMIT."),
    };
}

static void after_commit_count(struct pipeline *pipeline, const struct batch *batch) {
    size_t duplicates = 0, ignored = 0, superseded = 0, expired = 0;
    for (size_t i = 0; i < batch->count; i++) {
        duplicates += batch->events[i].state == EVENT_DUPLICATE;
        ignored += batch->events[i].state == EVENT_IGNORED;
        expired += batch->events[i].state == EVENT_EXPIRED;
        superseded += batch->events[i].superseded && batch->events[i].state == EVENT_APPLIED;
    }
    const struct commit_metrics *metrics = &pipeline->metrics.commit;
    metric_add(metrics->processed, (double)(batch->count - batch->waiting));
    if (!pipeline->options.uncounted) {
        script_generation_count(batch->generation, (struct script_counts){
                                                       batch->count - batch->waiting,
                                                       batch->rejected,
                                                   });
    }
    metric_add(metrics->duplicates, (double)duplicates);
    metric_add(metrics->ignored, (double)ignored);
    metric_add(metrics->expired, (double)expired);
    metric_add(metrics->superseded, (double)superseded);
    metric_add(metrics->rejected, (double)batch->rejected);
    metric_add(metrics->merges, (double)merge_op_count(batch->merge));
    metric_add(metrics->rows, (double)pipeline->transaction.rows_sent);
    /* rows_written includes rejected_events, outside_events and reaction_marks. */
    uint64_t written =
        pipeline->transaction.rows_written - batch->rejected - batch->outside - batch->marks;
    if (pipeline->transaction.rows_sent > written) {
        metric_add(metrics->rows_superseded, (double)(pipeline->transaction.rows_sent - written));
    }
    metric_set(metrics->batch_events, (double)(batch->count - batch->waiting));
    metric_observe(metrics->commit_seconds,
                   (double)(clock_monotonic_us() - batch->started_us) / 1e6);
}

static void after_commit_wake(struct pipeline *pipeline, const struct batch *batch) {
    const struct outbox_stored *stored = &pipeline->transaction.stored;
    if (batch->marks > 0 && pipeline->options.marked) {
        pipeline->options.marked(pipeline->options.marked_context, batch_full(pipeline, batch));
    }
    if (stored->pending + stored->settled + stored->known > 0 && !pipeline->options.uncounted) {
        outbox_stored_count(stored);
        outbox_wake(pipeline->options.relay);
    }
}

void after_commit(struct pipeline *pipeline, struct batch *batch) {
    FAULT_POINT("after_commit");
    offsets_note_committed(pipeline, batch);
    announcer_begin(pipeline, batch); /* readers first: the reactor takes the processor */
    after_commit_wake(pipeline, batch);
    after_commit_count(pipeline, batch);
    verdicts_enter(pipeline, batch);
    batch_clear(pipeline, batch);
}

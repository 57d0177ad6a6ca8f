/* dry_run: a pipeline to look at: events go through extraction, handlers and merging as in
 * production, and nothing is committed. One thread. */
#ifndef AGG_HOST_PIPELINE_DRY_RUN_H
#define AGG_HOST_PIPELINE_DRY_RUN_H

#include "batch.h"
#include "pipeline.h"

struct dry_run {
    struct pipeline pipeline;
    struct batch batch;
};

/* One handled event, with what it asked of the view; valid until the next event or dry_run_clear.
 */
struct dry_run_outcome {
    const struct view *view;
    const struct script_handler *handler;
    const struct event *event;
    const struct merge_accepted *merges; /* none unless it was applied */
    size_t merge_count;
    const struct outbox_message *messages; /* likewise */
    size_t message_count;
    const struct script_touch *touches; /* likewise; the last one first */
};

/* Scripts are muted; `muted` says to them why. It and the generation are borrowed; `release` is for
 * messages, or NULL. False: dry_run_close is still to be called. */
bool dry_run_open(struct dry_run *dry_run, struct script_generation *generation, const char *muted,
                  void (*release)(void *owner), struct err *err);
void dry_run_close(struct dry_run *dry_run);

/* Adds a partition whose records the handler takes; its index. Call dry_run_clear after the last.
 */
size_t dry_run_add_partition(struct dry_run *dry_run, const char *topic, int32_t number,
                             int handler);
/* Forgets the events and rows so far. */
void dry_run_clear(struct dry_run *dry_run);
/* Takes the message and handles it; its merges come on top of those of the events before. False: no
 * script state can be made. */
bool dry_run_handle(struct dry_run *dry_run, const struct log_record *message,
                    struct dry_run_outcome *outcome, struct err *err);

#endif

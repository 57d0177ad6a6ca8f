/* dry_run: extracts, handles and merges events as in production and commits nothing. One thread. */
#pragma once

#include "batch.h"
#include "pipeline.h"

struct dry_run {
    struct pipeline pipeline;
    struct batch batch;
};

/* The outcome of one event; valid until the next event or dry_run_clear. */
struct dry_run_outcome {
    const struct view *view;
    const struct script_handler *handler;
    const struct event *event;
    const struct merge_accepted *merges; /* of an applied event */
    size_t merge_count;
    const struct outbox_message *messages; /* likewise */
    size_t message_count;
    const struct script_touch *touches; /* likewise; last one first */
    const struct horizon_root *passed;  /* of an expired event: what it is too old for */
};

/* Scripts may not use outside systems; `muted` is the reason in their errors. Borrows it and the
 * generation. release: of records, or NULL. False: the caller still calls dry_run_close. */
bool dry_run_open(struct dry_run *dry_run, struct script_generation *generation, const char *muted,
                  void (*release)(void *owner), struct err *err);
void dry_run_close(struct dry_run *dry_run);

/* Adds a partition for the handler; returns its index. Call dry_run_clear after the last one. */
size_t dry_run_add_partition(struct dry_run *dry_run, const char *topic, int32_t number,
                             int handler);
/* Judges old events by the retention that the view declares, as of today: they are expired. Without
 * it none is. */
void dry_run_expect_horizon(struct dry_run *dry_run);
/* Drops all events and rows. */
void dry_run_clear(struct dry_run *dry_run);
/* Handles one record; its merges follow those of earlier events. False: no script state can be
 * created. */
bool dry_run_handle(struct dry_run *dry_run, const struct log_record *message,
                    struct dry_run_outcome *outcome, struct err *err);

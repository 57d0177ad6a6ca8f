/* bench: a pipeline to look at: events go through extraction, handlers and merging as in
 * production, and nothing is committed. One thread. */
#ifndef AGG_HOST_INGEST_BENCH_H
#define AGG_HOST_INGEST_BENCH_H

#include "pipeline.h"

struct bench {
    struct pipeline pipeline;
    struct batch batch;
};

/* One handled event, with what it asked of the view; valid until the next event or bench_clear. */
struct bench_outcome {
    const struct view *view;
    const struct script_handler *handler;
    const struct event *event;
    const struct merge_accepted *merges; /* none unless it was applied */
    size_t merge_count;
    const struct outbox_message *messages; /* likewise */
    size_t message_count;
};

/* Scripts are muted; `muted` says to them why. It and the generation are borrowed; `release` is for
 * messages, or NULL. False: bench_close is still to be called. */
bool bench_open(struct bench *bench, struct script_generation *generation, const char *muted,
                void (*release)(void *owner), struct err *err);
void bench_close(struct bench *bench);

/* Adds a partition whose records the handler takes; its index. Call bench_clear after the last. */
size_t bench_add_partition(struct bench *bench, const char *topic, int32_t number, int handler);
/* Forgets the events and rows so far. */
void bench_clear(struct bench *bench);
/* Takes the message and handles it; its merges come on top of those of the events before. False: no
 * script state can be made. */
bool bench_handle(struct bench *bench, const struct message *message, struct bench_outcome *outcome,
                  struct err *err);

#endif

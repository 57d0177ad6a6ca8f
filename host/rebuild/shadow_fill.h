/* replay: carries records from the log through a pipeline into the shadow, with the very code and
 * SQL of live ingestion. While one batch is committed the next is read and handled. One thread. */
#ifndef AGG_HOST_REBUILD_REPLAY_H
#define AGG_HOST_REBUILD_REPLAY_H

#include "pipeline/batch.h"
#include "pipeline/pipeline.h"
#include "log_reader.h"
#include "shadow.h"

struct replay {
    struct pipeline pipeline;
    struct batch batches[2];
    bool open;
    size_t filling; /* the other one is being committed, if inflight */
    bool inflight;
    struct log_reader *reader; /* the caller's; its partitions are the pipeline's, in order */
};

/* False: replay_close is still to be called. */
bool replay_open(struct replay *replay, struct script_generation *generation,
                 struct log_reader *reader, const struct shadow *shadow, struct err *err);
void replay_close(struct replay *replay);

/* Reads up to the reader's bounds and commits all of it. ERR_TIMEOUT where the deadline (of the
 * monotonic clock; 0: none) passed first: call again to go on. */
bool replay_run(struct replay *replay, int64_t deadline_us,
                void (*tell)(void *context, const struct log_reader *reader), void *context,
                struct err *err);

#endif

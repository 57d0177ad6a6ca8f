/* build: carries records from the log through a pipeline into the shadow, with the very code and
 * SQL of live ingestion. While one batch is committed the next is read and handled. One thread. */
#ifndef AGG_HOST_REBUILD_BUILD_H
#define AGG_HOST_REBUILD_BUILD_H

#include "../pipeline/batch.h"
#include "../pipeline/pipeline.h"
#include "log_reader.h"

struct build {
    struct pipeline pipeline;
    struct batch batches[2];
    bool open;
    size_t filling; /* the other one is being committed, if inflight */
    bool inflight;
    struct log_reader *reader; /* the caller's; its partitions are the pipeline's, in order */
};

/* False: build_close is still to be called. */
bool build_open(struct build *build, struct script_generation *generation,
                struct log_reader *reader, const char *search_path, struct err *err);
void build_close(struct build *build);

/* Reads up to the reader's bounds and commits all of it. ERR_TIMEOUT where the deadline (of the
 * monotonic clock; 0: none) passed first: call again to go on. */
bool build_run(struct build *build, int64_t deadline_us,
               void (*tell)(void *context, const struct log_reader *reader), void *context,
               struct err *err);

#endif

/* shadow_fill: feeds records of the log through a pipeline into the shadow, with the code and SQL
 * of live ingestion. While one batch commits the next one is read and handled. One thread. */
#pragma once

#include "pipeline/batch.h"
#include "pipeline/pipeline.h"
#include "log_reader.h"
#include "progress.h"
#include "shadow.h"

struct shadow_fill {
    struct pipeline pipeline;
    struct batch batches[2];
    bool open;
    size_t filling; /* index; the other batch commits, if inflight */
    bool inflight;
    struct log_reader *reader; /* borrowed; its partitions are the pipeline's, in order */
};

/* False: shadow_fill_close is still to be called. */
bool shadow_fill_open(struct shadow_fill *fill, struct script_generation *generation,
                      struct log_reader *reader, const struct shadow *shadow, struct err *err);
void shadow_fill_close(struct shadow_fill *fill);

/* Reads up to the reader's bounds and commits everything; shows `progress` (NULL: none).
 * ERR_TIMEOUT: the deadline (monotonic; 0: none) passed first, and the next call continues. */
bool shadow_fill_run(struct shadow_fill *fill, int64_t deadline_us, struct progress *progress,
                     struct err *err);

/* database_offsets: reads and moves the partitions' offsets in the table consumer_offsets. Offsets
 * reported to Kafka: ingest/kafka_offsets.c. The pipeline's thread. */
#pragma once

#include "bindings/pg.h"
#include "batch.h"
#include "partitions.h"

/* Columns that identify the database and its table of offsets; offsets_epoch hashes them. */
#define OFFSETS_EPOCH_COLUMNS 4
uint64_t offsets_epoch(const struct pg_result *rows, int row, int column);
bool offsets_ask_epoch(struct pg *pg, int timeout_ms, uint64_t *epoch, struct err *err);
/* Reads it into view_epoch and the cache. */
bool offsets_read_epoch(struct pipeline *pipeline, struct err *err);
/* Reads the offsets of the pipeline's partitions. Inserts missing rows. */
bool offsets_load(struct pipeline *pipeline, struct err *err);
/* *all: each of the pipeline's partitions has a row. */
bool offsets_have_rows(struct pipeline *pipeline, bool *all, struct err *err);
/* Inserts missing rows of `all` partitions of some topics: without an offset (-1) if the group has
 * no row of the topic, and from 0 otherwise. */
bool offsets_add_topics(struct pipeline *pipeline, const struct partitions *all, struct err *err);
/* Moves partitions' offsets without events, all or none: next[i] is that of the pipeline's
 * partition i, or its present one. ERR_CONFLICT: another process moved one. */
bool offsets_move(struct pipeline *pipeline, const int64_t *next, struct err *err);
/* True: the offsets are as committed. False: a replay moved one (err stays ERR_NONE), or the query
 * failed. Call it outside of transactions. */
bool offsets_unmoved(struct pipeline *pipeline, struct err *err);
/* Surrogate keys of a batch that its offsets are stored with, 8 bytes each; of more none are. */
#define OFFSETS_TAGS_MAX 3000
/* Queues the compare-and-set of a batch's offsets, with the counts of its events' outcomes and what
 * its announcement will invalidate. */
bool offsets_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);
/* Queues the lock of the rows that offsets_send changes. */
bool offsets_send_lock(struct pipeline *pipeline, const struct batch *batch, struct err *err);
/* Copies a committed batch's offsets and counts to the partitions. */
void offsets_note_committed(struct pipeline *pipeline, const struct batch *batch);

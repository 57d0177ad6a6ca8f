/* database_offsets: where each partition goes on, in the table consumer_offsets. What Kafka is told
 * for lag tools is host/ingest's. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_DATABASE_OFFSETS_H
#define AGG_HOST_PIPELINE_DATABASE_OFFSETS_H

#include "bindings/pg_rows.h"
#include "batch.h"
#include "partitions.h"

/* A partition's place among cache_position: its name, and what its commits have counted. */
#define OFFSETS_NAME_SQL "(o.consumer_group || '/' || o.topic || '/' || o.partition)"
#define OFFSETS_POSITION_SQL                                                                       \
    OFFSETS_NAME_SQL                                                                               \
    ", (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected)::text"
/* Which database this is, and which table of offsets in it: columns that make one number. */
#define OFFSETS_EPOCH_SQL                                                                          \
    "(SELECT system_identifier::text FROM pg_control_system()), "                                  \
    "(SELECT oid::text FROM pg_database WHERE datname = current_database()), "                     \
    "'aggregator_state.consumer_offsets'::regclass::oid::text"
#define OFFSETS_EPOCH_COLUMNS 3
uint64_t offsets_epoch(const struct pg_result *rows, int row, int column);
/* Reads it, for `view_epoch` and for the cache. */
bool offsets_read_epoch(struct pipeline *pipeline, struct err *err);
/* Reads where each of the pipeline's partitions goes on, adding those that the database does not
 * know yet. */
bool offsets_load(struct pipeline *pipeline, struct err *err);
/* Moves one partition without events, from where it stands. ERR_CONFLICT: somebody else did. */
bool offsets_move(struct pipeline *pipeline, struct partition *partition, int64_t next,
                  struct err *err);
/* True where the database holds what was committed; false with err of ERR_NONE where somebody has
 * moved an offset (a replay), and with a kind where it could not be asked. No transaction is under
 * way. */
bool offsets_unmoved(struct pipeline *pipeline, struct err *err);
/* Queues the compare-and-set of a batch's offsets, with what became of its events. */
bool offsets_send(struct pipeline *pipeline, const struct batch *batch, struct err *err);
/* It was committed: where its partitions stand now, and what they have counted. */
void offsets_note_committed(struct pipeline *pipeline, const struct batch *batch);

#endif

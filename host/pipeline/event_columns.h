/* event_columns: columns of a batch's events as arrays, for a statement that unnests them. The
 * pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_EVENT_COLUMNS_H
#define AGG_HOST_PIPELINE_EVENT_COLUMNS_H

#include "batch.h"

enum event_column {
    COLUMN_TOPIC,
    COLUMN_PARTITION,      /* int4 */
    COLUMN_OFFSET,         /* int8 */
    COLUMN_EVENT_ID,       /* uuid; NULL: it could not be read */
    COLUMN_CORRELATION_ID, /* NULL: none */
    COLUMN_AT,             /* timestamptz: the time of its version */
    COLUMN_HANDLER,        /* NULL: none declares its topic */
    COLUMN_PAYLOAD,        /* bytea; NULL: the record has no value */
    COLUMN_REASON,
    COLUMN_DETAIL,
    COLUMN_RESTS_ON,
};

#define EVENT_COLUMNS_ALL_STATES (~0U)

/* Adds an array for each column to the pipeline's parameters, with a value of each event whose
 * state is among `states`, bits of 1 << enum event_state. The events are borrowed until the
 * parameters are sent. */
void event_columns_add(struct pipeline *pipeline, const struct batch *batch, unsigned states,
                       const enum event_column *columns, size_t column_count);

#endif

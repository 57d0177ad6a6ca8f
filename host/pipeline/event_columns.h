/* event_columns: encodes a batch's events as one array for each column, for unnest(). The
 * pipeline's thread. */
#pragma once

#include "batch.h"

enum event_column {
    COLUMN_TOPIC,
    COLUMN_PARTITION,      /* int4 */
    COLUMN_OFFSET,         /* int8 */
    COLUMN_EVENT_ID,       /* uuid; NULL: unreadable */
    COLUMN_CORRELATION_ID, /* NULL: none */
    COLUMN_AT,             /* timestamptz: the event's time */
    COLUMN_HANDLER,        /* NULL: none declares its topic */
    COLUMN_PAYLOAD,        /* bytea; NULL: the record has no value */
    COLUMN_REASON,
    COLUMN_DETAIL,
    COLUMN_RESTS_ON,
    COLUMN_TRACEPARENT, /* NULL: none */
};

#define EVENT_COLUMNS_ALL_STATES (~0U)

/* Adds the arrays to the pipeline's parameters; `states` are bits of 1 << enum event_state. The
 * parameters borrow the events until they are sent. */
void event_columns_add(struct pipeline *pipeline, const struct batch *batch, unsigned states,
                       const enum event_column *columns, size_t column_count);

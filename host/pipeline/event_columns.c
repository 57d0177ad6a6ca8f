#include "event_columns.h"

#include "base/traceparent.h"
#include "pipeline.h"

static const enum pg_array event_columns_types[] = {
    [COLUMN_TOPIC] = PG_ARRAY_TEXT,     [COLUMN_PARTITION] = PG_ARRAY_INT4,
    [COLUMN_OFFSET] = PG_ARRAY_INT8,    [COLUMN_EVENT_ID] = PG_ARRAY_UUID,
    [COLUMN_AT] = PG_ARRAY_TIMESTAMPTZ, [COLUMN_CORRELATION_ID] = PG_ARRAY_TEXT,
    [COLUMN_HANDLER] = PG_ARRAY_TEXT,   [COLUMN_PAYLOAD] = PG_ARRAY_BYTEA,
    [COLUMN_REASON] = PG_ARRAY_TEXT,    [COLUMN_DETAIL] = PG_ARRAY_TEXT,
    [COLUMN_RESTS_ON] = PG_ARRAY_TEXT,  [COLUMN_TRACEPARENT] = PG_ARRAY_TEXT,
};

static struct slice event_columns_traceparent(const struct batch *batch, struct slice traceparent) {
    char text[TRACEPARENT_LEN + 1];
    if (!traceparent.data) {
        return traceparent;
    }
    traceparent_format(traceparent, text);
    return arena_copy(merge_arena(batch->merge), slice_of(text));
}

/* data NULL: SQL's NULL. */
static struct slice event_columns_bytes(const struct pipeline *pipeline, const struct batch *batch,
                                        const struct event *event, enum event_column column) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(batch->generation, &count);
    switch (column) {
    case COLUMN_TOPIC:
        return slice_of(pipeline->partitions.items[event->record.partition].topic);
    case COLUMN_EVENT_ID:
        return (struct slice){event->has_id ? (const char *)event->id : NULL, sizeof event->id};
    case COLUMN_CORRELATION_ID:
        return event->correlation_id;
    case COLUMN_HANDLER:
        return event->handler >= 0 ? slice_of(handlers[event->handler].name) : (struct slice){0};
    case COLUMN_PAYLOAD:
        return event->record.payload;
    case COLUMN_REASON:
        return event->reason;
    case COLUMN_DETAIL:
        return event->detail;
    case COLUMN_TRACEPARENT:
        return event_columns_traceparent(batch, event->record.traceparent);
    default:
        return slice_of(event->rests_on);
    }
}

static void event_columns_put(const struct pipeline *pipeline, const struct batch *batch,
                              const struct event *event, enum event_column column) {
    struct pg_params *params = pipeline->params;
    if (column == COLUMN_PARTITION) {
        pg_array_int(params, pipeline->partitions.items[event->record.partition].number);
    } else if (column == COLUMN_OFFSET) {
        pg_array_int(params, event->record.offset);
    } else if (column == COLUMN_AT) {
        pg_array_timestamp(params, event->at_us);
    } else {
        struct slice bytes = event_columns_bytes(pipeline, batch, event, column);
        bytes.data ? pg_array_bytes(params, bytes) : pg_array_null(params);
    }
}

void event_columns_add(struct pipeline *pipeline, const struct batch *batch, unsigned states,
                       const enum event_column *columns, size_t column_count) {
    for (size_t c = 0; c < column_count; c++) {
        pg_array_begin(pipeline->params, event_columns_types[columns[c]]);
        for (size_t i = 0; i < batch->count; i++) {
            if (states >> batch->events[i].state & 1) {
                event_columns_put(pipeline, batch, &batch->events[i], columns[c]);
            }
        }
        pg_array_end(pipeline->params);
    }
}

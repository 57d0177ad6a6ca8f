/* outside_events: a muted pipeline cannot repeat an outside system's reply. It neither applies nor
 * rejects such events, and lists them in outside_events of its schema (rebuild/shadow.c). */
#include "outside_events.h"

#include "encode.h"
#include "event_columns.h"
#include "pipeline.h"
#include "pipeline/outside_events.sql.h"

void outside_events_exclude(struct batch *batch) {
    size_t before = batch->outside;
    for (size_t i = 0; i < batch->count; i++) {
        struct event *event = &batch->events[i];
        if (event->rests_on && event->state != EVENT_OUTSIDE) {
            batch->rejected -= event->state == EVENT_REJECTED;
            batch->outside++;
            event->state = EVENT_OUTSIDE;
        }
    }
    if (batch->outside > before) {
        batch_forget_unapplied(batch);
        merge_select(batch->merge, 0, batch->count);
        encode_forget(batch);
    }
}

static const enum event_column outside_events_columns[] = {
    COLUMN_TOPIC, COLUMN_PARTITION, COLUMN_OFFSET,   COLUMN_EVENT_ID,
    COLUMN_AT,    COLUMN_HANDLER,   COLUMN_RESTS_ON,
};

bool outside_events_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    if (batch->outside == 0) {
        return true;
    }
    pg_params_reset(pipeline->params);
    event_columns_add(pipeline, batch, 1U << EVENT_OUTSIDE, outside_events_columns,
                      sizeof outside_events_columns / sizeof *outside_events_columns);
    return pg_send(pipeline->pg, "outside_events", insert_sql, pipeline->params, false, err);
}

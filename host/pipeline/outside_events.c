/* outside_events: events of a muted pipeline whose handlers asked an outside system something. What
 * live ingestion made of them is not known: they are set aside, neither applied nor rejected, and
 * stand in outside_events of the pipeline's schema (rebuild/shadow.c makes it). */
#include "outside_events.h"

#include "encode.h"
#include "pipeline.h"

static const char insert_sql[] =
    "INSERT INTO outside_events (topic, partition, \"offset\", event_id, at, handler, rests_on) "
    "SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[], $4::uuid[], $5::timestamptz[], "
    "$6::text[], $7::text[]) ON CONFLICT DO NOTHING";

void outside_events_set_aside(struct batch *batch) {
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

enum outside_column { O_TOPIC, O_PARTITION, O_OFFSET, O_EVENT_ID, O_AT, O_HANDLER, O_RESTS_ON };

static const enum pg_array outside_types[] = {
    [O_TOPIC] = PG_ARRAY_TEXT,    [O_PARTITION] = PG_ARRAY_INT4, [O_OFFSET] = PG_ARRAY_INT8,
    [O_EVENT_ID] = PG_ARRAY_UUID, [O_AT] = PG_ARRAY_TIMESTAMPTZ, [O_HANDLER] = PG_ARRAY_TEXT,
    [O_RESTS_ON] = PG_ARRAY_TEXT,
};

static void put_outside_cell(const struct pipeline *pipeline, const struct batch *batch,
                             const struct event *event, enum outside_column column) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(batch->generation, &count);
    const struct partition *partition = &pipeline->partitions.items[event->message.partition];
    struct pg_params *params = pipeline->params;
    switch (column) {
    case O_TOPIC:
        pg_array_bytes(params, slice_of(partition->topic));
        break;
    case O_PARTITION:
        pg_array_int(params, partition->number);
        break;
    case O_OFFSET:
        pg_array_int(params, event->message.offset);
        break;
    case O_EVENT_ID:
        pg_array_bytes(params, (struct slice){(const char *)event->id, sizeof event->id});
        break;
    case O_AT:
        pg_array_timestamp(params, event->at_us);
        break;
    case O_HANDLER:
        pg_array_bytes(params, slice_of(handlers[event->handler].name));
        break;
    case O_RESTS_ON:
        pg_array_bytes(params, slice_of(event->rests_on));
        break;
    }
}

bool outside_events_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    if (batch->outside == 0) {
        return true;
    }
    pg_params_reset(pipeline->params);
    for (enum outside_column column = O_TOPIC; column <= O_RESTS_ON; column++) {
        pg_array_begin(pipeline->params, outside_types[column]);
        for (size_t i = 0; i < batch->count; i++) {
            if (batch->events[i].state == EVENT_OUTSIDE) {
                put_outside_cell(pipeline, batch, &batch->events[i], column);
            }
        }
        pg_array_end(pipeline->params);
    }
    return pg_send(pipeline->pg, "outside_events", insert_sql, pipeline->params, false, err);
}

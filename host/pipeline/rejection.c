/* rejection: an event that cannot be applied is set aside alone: logged, counted, and kept with its
 * bytes in the transaction that passes it. */
#include "rejection.h"

#include "../base/log.h"
#include "../base/metrics.h"
#include "../base/traceparent.h"
#include "../base/uuid.h"
#include "pipeline.h"

/* What stands at the place already is of a log that is no more, or the same event once more. */
static const char insert_sql[] =
    "INSERT INTO rejected_events (topic, partition, \"offset\", reason, detail, raw, event_id, "
    "correlation_id, handler, generation) SELECT topic, partition, \"offset\", reason, detail, "
    "raw, event_id, correlation_id, handler, $1::text FROM unnest($2::text[], $3::int4[], "
    "$4::int8[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::text[]) AS r "
    "(topic, partition, \"offset\", reason, detail, raw, event_id, correlation_id, handler) "
    "ON CONFLICT (topic, partition, \"offset\") DO UPDATE SET rejected_at = now(), "
    "reason = EXCLUDED.reason, detail = EXCLUDED.detail, raw = EXCLUDED.raw, "
    "event_id = EXCLUDED.event_id, correlation_id = EXCLUDED.correlation_id, "
    "handler = EXCLUDED.handler, generation = EXCLUDED.generation";

/* The bytes are added up only where the table with its indexes is larger than they may be. Of what
 * one transaction kept all stays or goes, and the newest stays. Rows that somebody holds are left
 * to him, or to the next time: two workers must not wait for each other. */
static const char trim_sql[] =
    "DELETE FROM rejected_events WHERE ctid = ANY (ARRAY(SELECT ctid FROM rejected_events "
    "WHERE rejected_at < greatest(now() - $1::int8 * interval '1 hour', "
    "(SELECT rejected_at FROM rejected_events ORDER BY rejected_at DESC OFFSET $2::int8 LIMIT 1), "
    "(SELECT max(rejected_at) FROM (SELECT rejected_at, sum(200 + "
    "coalesce(pg_column_size(raw), 0) + coalesce(pg_column_size(detail), 0)) "
    "OVER (ORDER BY rejected_at DESC) AS bytes FROM rejected_events "
    "WHERE (SELECT pg_total_relation_size('rejected_events')) > $3::int8) AS kept "
    "WHERE bytes > $3::int8)) FOR UPDATE SKIP LOCKED))";

/* ---- one event ----------------------------------------------------------------------------- */

static const struct partition *partition_of(const struct pipeline *pipeline,
                                            const struct event *event) {
    return &pipeline->partitions.items[event->message.partition];
}

static bool event_id_of(const struct event *event, char text[UUID_TEXT_LEN + 1]) {
    if (event->has_id) {
        uuid_format(event->id, text);
    }
    return event->has_id;
}

static void set_reason(struct arena *arena, struct event *event, const char *text) {
    size_t code_len = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    bool has_code = code_len > 0 && text[code_len] == ':';
    event->reason =
        has_code ? arena_copy(arena, (struct slice){text, code_len}) : slice_of("handler_error");
    const char *detail = has_code ? text + code_len + 1 : text;
    /* It quotes events and scripts. */
    event->detail = arena_copy_utf8(arena, slice_of(detail + (*detail == ' ')));
}

static void log_rejection(const struct pipeline *pipeline, const struct event *event) {
    if (pipeline->options.quiet) {
        return;
    }
    const struct partition *partition = partition_of(pipeline, event);
    char event_id[UUID_TEXT_LEN + 1] = "";
    bool has_id = event_id_of(event, event_id);
    log_warning("event rejected", LOG_SLICE("reason", event->reason),
                LOG_SLICE("detail", event->detail), LOG_TEXT("topic", partition->topic),
                LOG_INT("partition", partition->number), LOG_INT("offset", event->message.offset),
                LOG_TEXT("event_id", has_id ? event_id : NULL),
                LOG_SLICE("correlation_id", event->correlation_id),
                LOG_SLICE("trace_id", traceparent_trace_id(event->message.traceparent)));
}

void rejection_set(struct batch *batch, struct event *event, const char *text) {
    set_reason(merge_arena(batch->merge), event, text);
    event->state = EVENT_REJECTED;
    batch->rejected++;
}

static void count_reason(const struct pipeline *pipeline, const struct event *event) {
    struct metric *invalid =
        metric_family(METRIC_COUNTER, "ras_invalid_messages_total",
                      "Events that were rejected, by topic and reason.", "topic,error_type");
    char reason[64];
    snprintf(reason, sizeof reason, "%.*s", (int)event->reason.len, event->reason.data);
    metric_add(metric_cell(invalid, partition_of(pipeline, event)->topic, reason), 1);
}

void rejection_count(const struct pipeline *pipeline, const struct event *event) {
    if (!pipeline->options.uncounted) {
        count_reason(pipeline, event);
    }
    log_rejection(pipeline, event);
}

/* ---- the rows ------------------------------------------------------------------------------ */

enum rejected_column {
    R_TOPIC,
    R_PARTITION,
    R_OFFSET,
    R_REASON,
    R_DETAIL,
    R_RAW,
    R_EVENT_ID,
    R_CORRELATION_ID,
    R_HANDLER,
    R_COLUMNS
};

static struct slice handler_of(const struct batch *batch, const struct event *event) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(batch->generation, &count);
    return event->handler >= 0 ? slice_of(handlers[event->handler].name) : (struct slice){0};
}

static struct slice text_of(const struct pipeline *pipeline, const struct batch *batch,
                            const struct event *event, enum rejected_column column, char *scratch) {
    switch (column) {
    case R_TOPIC:
        return slice_of(partition_of(pipeline, event)->topic);
    case R_REASON:
        return event->reason;
    case R_DETAIL:
        return event->detail;
    case R_RAW:
        return event->message.payload;
    case R_EVENT_ID:
        return event_id_of(event, scratch) ? slice_of(scratch) : (struct slice){0};
    case R_CORRELATION_ID:
        return event->correlation_id;
    default:
        return handler_of(batch, event);
    }
}

static void add_column(const struct pipeline *pipeline, const struct batch *batch,
                       enum rejected_column column) {
    struct pg_params *params = pipeline->params;
    char scratch[UUID_TEXT_LEN + 1];
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_REJECTED) {
            continue;
        }
        if (column == R_PARTITION) {
            pg_array_int(params, partition_of(pipeline, event)->number);
            continue;
        }
        if (column == R_OFFSET) {
            pg_array_int(params, event->message.offset);
            continue;
        }
        struct slice text = text_of(pipeline, batch, event, column, scratch);
        if (text.data) {
            pg_array_bytes(params, text);
        } else {
            pg_array_null(params);
        }
    }
}

bool rejection_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    if (batch->rejected == 0) {
        return true;
    }
    struct pg_params *params = pipeline->params;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(script_generation_hash(batch->generation)));
    for (enum rejected_column column = R_TOPIC; column < R_COLUMNS; column++) {
        pg_array_begin(params, column == R_PARTITION ? PG_ARRAY_INT4
                               : column == R_OFFSET  ? PG_ARRAY_INT8
                               : column == R_RAW     ? PG_ARRAY_BYTEA
                                                     : PG_ARRAY_TEXT);
        add_column(pipeline, batch, column);
        pg_array_end(params);
    }
    if (!pg_send(pipeline->pg, "reject_events", insert_sql, params, false, err)) {
        return false;
    }
    pg_params_reset(params);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_hours);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_rows);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_mb * 1024LL * 1024);
    return pg_send(pipeline->pg, "trim_rejected", trim_sql, params, false, err);
}

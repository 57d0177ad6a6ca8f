/* rejection: logs, counts and stores a rejected event with its bytes, in the transaction that moves
 * the offset past it. */
#include "rejection.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/traceparent.h"
#include "base/uuid.h"
#include "event_columns.h"
#include "pipeline.h"
#include "pipeline/rejection.sql.h"

/* ---- one event ----------------------------------------------------------------------------- */

static const struct partition *rejection_partition_of(const struct pipeline *pipeline,
                                                      const struct event *event) {
    return &pipeline->partitions.items[event->record.partition];
}

void rejection_set(struct batch *batch, struct event *event, const char *text) {
    struct arena *arena = merge_arena(batch->merge);
    size_t code_len = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    bool has_code = code_len > 0 && text[code_len] == ':';
    event->reason =
        has_code ? arena_copy(arena, (struct slice){text, code_len}) : slice_of("handler_error");
    const char *detail = has_code ? text + code_len + 1 : text;
    /* It quotes events and scripts, which may be no UTF-8. */
    event->detail = arena_copy_utf8(arena, slice_of(detail + (*detail == ' ')));
    event->state = EVENT_REJECTED;
    batch->rejected++;
}

static void rejection_log(const struct pipeline *pipeline, const struct event *event) {
    if (pipeline->options.quiet) {
        return;
    }
    const struct partition *partition = rejection_partition_of(pipeline, event);
    char event_id[UUID_TEXT_LEN + 1];
    uuid_format(event->id, event_id);
    log_warning("event rejected", LOG_SLICE("reason", event->reason),
                LOG_SLICE("detail", event->detail), LOG_TEXT("topic", partition->topic),
                LOG_INT("partition", partition->number), LOG_INT("offset", event->record.offset),
                LOG_TEXT("event_id", event->has_id ? event_id : NULL),
                LOG_SLICE("correlation_id", event->correlation_id),
                LOG_SLICE("trace_id", traceparent_trace_id(event->record.traceparent)));
}

static void rejection_count_reason(const struct pipeline *pipeline, const struct event *event) {
    struct metric *invalid =
        metric_family(METRIC_COUNTER, "ras_invalid_messages_total",
                      "Events that were rejected, by topic and reason.", "topic,error_type");
    char reason[64];
    snprintf(reason, sizeof reason, "%.*s", (int)event->reason.len, event->reason.data);
    metric_add(metric_cell(invalid, rejection_partition_of(pipeline, event)->topic, reason), 1);
}

void rejection_count(const struct pipeline *pipeline, const struct event *event) {
    if (!pipeline->options.uncounted) {
        rejection_count_reason(pipeline, event);
    }
    rejection_log(pipeline, event);
}

/* ---- the rows ------------------------------------------------------------------------------ */

static const enum event_column rejection_columns[] = {
    COLUMN_TOPIC,   COLUMN_PARTITION, COLUMN_OFFSET,         COLUMN_REASON,  COLUMN_DETAIL,
    COLUMN_PAYLOAD, COLUMN_EVENT_ID,  COLUMN_CORRELATION_ID, COLUMN_HANDLER, COLUMN_TRACEPARENT,
};

bool rejection_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    if (batch->rejected == 0) {
        return true;
    }
    struct pg_params *params = pipeline->params;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(script_generation_hash(batch->generation)));
    event_columns_add(pipeline, batch, 1U << EVENT_REJECTED, rejection_columns,
                      sizeof rejection_columns / sizeof *rejection_columns);
    if (!pg_send(pipeline->pg, "reject_events", insert_sql, params, false, err)) {
        return false;
    }
    pg_params_reset(params);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_hours);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_rows);
    pg_params_add_int8(params, pipeline->config->ingest.rejected_keep_mb * 1024LL * 1024);
    return pg_send(pipeline->pg, "trim_rejected", trim_sql, params, false, err);
}

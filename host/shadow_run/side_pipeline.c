#include "side_pipeline.h"

#include <time.h>

#include "base/json_put.h"
#include "base/log.h"
#include "pipeline/after_commit.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"

#define MOMENT_US 200000

const char side_muted[] = "a shadow run touches no outside system";

bool side_open(struct side *side, struct script_generation *generation, struct sql_session *session,
               const struct shadow_kind *kind, void (*release)(void *owner), struct err *err) {
    const struct view *view = script_generation_view(generation);
    if (!shadow_create(&side->shadow, session, kind, view, err)) {
        return false;
    }
    struct pipeline_options options = {
        .generation = generation,
        .group = SHADOW_GROUP,
        .search_path = side->shadow.search_path,
        .qualifier = side->shadow.qualifier,
        .application_name = "aggregator shadow run",
        .muted = side_muted,
        .marks = true, /* in the side's own schema */
        .no_breaker = true,
        .quiet = true,
        .uncounted = true,
        .mode = PIPELINE_FOLLOW,
        .release = release,
    };
    side->open = true;
    batch_init(&side->batch, generation);
    return pipeline_open(&side->pipeline, &options, err);
}

void side_close(struct side *side, struct sql_session *session) {
    if (side->open) {
        batch_free(&side->pipeline, &side->batch);
        pipeline_close(&side->pipeline);
    }
    shadow_close(&side->shadow, session, false);
}

bool side_connect(struct side *side, const struct log_reader *reader, struct err *err) {
    struct pipeline *pipeline = &side->pipeline;
    log_reader_add_partitions(reader, &pipeline->partitions);
    for (size_t i = 0; i < pipeline->partitions.count; i++) {
        struct partition *partition = &pipeline->partitions.items[i];
        partition->handler = script_handler_of(pipeline->generation, partition->topic);
    }
    if (!pipeline_connect(pipeline, err) || !offsets_load(pipeline, err)) {
        return false;
    }
    batch_clear(pipeline, &side->batch);
    return true;
}

size_t side_take(struct side *side, const struct log_record *record) {
    if (side->pipeline.partitions.items[record->partition].handler < 0) {
        return SIDE_NO_EVENT;
    }
    batch_take(&side->pipeline, &side->batch, record);
    return side->batch.count - 1;
}

static int64_t side_cpu_us(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

bool side_handle(struct side *side) {
    int64_t began_us = side_cpu_us();
    log_mute(true); /* production logs what scripts log of these events */
    bool done = batch_handle(&side->pipeline, &side->batch, MOMENT_US);
    log_mute(false);
    side->counts.cpu_us += side_cpu_us() - began_us;
    return done || !side->pipeline.scripts || /* then the commit returns the error */
           batch_has_merged_enough(&side->pipeline, &side->batch);
}

static void side_count(struct side *side) {
    struct side_counts *counts = &side->counts;
    counts->events += (int64_t)side->batch.count;
    for (size_t i = 0; i < side->batch.count; i++) {
        const struct event *event = &side->batch.events[i];
        bool superseded = event->state == EVENT_APPLIED && event->superseded;
        counts->superseded += superseded;
        counts->applied += event->state == EVENT_APPLIED && !superseded;
        counts->ignored += event->state == EVENT_IGNORED;
        counts->rejected += event->state == EVENT_REJECTED;
        counts->expired += event->state == EVENT_EXPIRED;
        counts->outside += event->state == EVENT_OUTSIDE;
    }
}

bool side_commit(struct side *side, struct err *err) {
    if (side->batch.count == 0) {
        return true;
    }
    bool ok = commit_transaction(&side->pipeline, &side->batch, err);
    if (ok) {
        side_count(side);
    }
    return ok;
}

void side_clear(struct side *side) {
    if (side->batch.count > 0) {
        after_commit(&side->pipeline, &side->batch);
    }
}

bool side_analyze(const struct side *side, struct sql_session *session, struct err *err) {
    const struct view *view = script_generation_view(side->pipeline.generation);
    bool ok = true;
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = sql_run(session, err, "ANALYZE %s.\"%s\"", side->shadow.schema, view->tables[i].name);
    }
    return ok;
}

const char *side_handler_of(const struct side *side, const struct event *event) {
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(side->pipeline.generation, &count);
    return handlers[side->pipeline.partitions.items[event->record.partition].handler].name;
}

void side_put_event(struct buffer *json, const struct side *side, const struct event *event) {
    const struct partition *partition = &side->pipeline.partitions.items[event->record.partition];
    json_put_text(json, "topic", slice_of(partition->topic));
    json_put_int(json, "partition", partition->number);
    json_put_int(json, "offset", event->record.offset);
    json_put_uuid(json, "event_id", event->has_id ? event->id : NULL);
    json_put_text(json, "handler", slice_of(side_handler_of(side, event)));
}

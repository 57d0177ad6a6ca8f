#include "shadow_fill.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/after_commit.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"
#include "pipeline/outside_events.h"

#define POLL_MS 500
#define SILENCE_S 60 /* of Kafka, while records have to come */

bool shadow_fill_open(struct shadow_fill *fill, struct script_generation *generation,
                      struct log_reader *reader, const struct shadow *shadow, struct err *err) {
    struct pipeline_options options = {
        .generation = generation,
        .group = SHADOW_GROUP,
        .search_path = shadow->search_path,
        .qualifier = shadow->qualifier,
        .application_name = "aggregator rebuild",
        .muted = "a rebuild touches no outside system",
        .no_breaker = true,
        .quiet = true,
        .mode = PIPELINE_FOLLOW,
        .release = kafka_message_release,
    };
    *fill = (struct shadow_fill){.open = true, .reader = reader};
    bool ok = pipeline_open(&fill->pipeline, &options, err);
    batch_init(&fill->batches[0], generation);
    batch_init(&fill->batches[1], generation);
    if (ok) {
        log_reader_add_partitions(reader, &fill->pipeline.partitions);
    }
    ok = ok && pipeline_connect(&fill->pipeline, err) && offsets_load(&fill->pipeline, err);
    for (int i = 0; ok && i < 2; i++) {
        batch_clear(&fill->pipeline, &fill->batches[i]);
    }
    return ok;
}

void shadow_fill_close(struct shadow_fill *fill) {
    if (fill->open) {
        batch_free(&fill->pipeline, &fill->batches[0]);
        batch_free(&fill->pipeline, &fill->batches[1]);
        pipeline_close(&fill->pipeline);
    }
    fill->open = false;
}

/* ---- one turn ------------------------------------------------------------------------------ */

/* Whether a handler times out depends on the machine, not on the log. */
static void shadow_fill_doubt_timeouts(struct batch *batch) {
    struct slice timeout = slice_of(script_rejection_code(SCRIPT_TIMEOUT));
    for (size_t i = 0; batch->rejected > 0 && i < batch->count; i++) {
        struct event *event = &batch->events[i];
        if (event->state == EVENT_REJECTED && slice_equal(event->reason, timeout)) {
            event->rests_on = "its time limit";
        }
    }
}

static bool shadow_fill_fill(struct shadow_fill *fill, struct err *err) {
    struct pipeline *pipeline = &fill->pipeline;
    struct batch *batch = &fill->batches[fill->filling];
    int wait_ms = fill->inflight ? 0 : POLL_MS;
    while (!batch_full(pipeline, batch)) {
        struct log_record record;
        if (!log_reader_next(fill->reader, wait_ms, &record, err)) {
            break;
        }
        batch_take(pipeline, batch, &record);
        wait_ms = 0;
    }
    log_mute(true); /* live ingestion has logged what scripts log of these events */
    batch_handle(pipeline, batch, INT64_MAX);
    log_mute(false);
    shadow_fill_doubt_timeouts(batch);
    outside_events_exclude(batch);
    return err->kind == ERR_NONE;
}

/* Ends the open transaction; what the database refuses is rejected. */
static bool shadow_fill_finish(struct shadow_fill *fill, struct err *err) {
    struct pipeline *pipeline = &fill->pipeline;
    struct batch *batch = &fill->batches[!fill->filling];
    if (!fill->inflight) {
        return true;
    }
    fill->inflight = false;
    if (!commit_end(pipeline, batch, err)) {
        return false;
    }
    after_commit(pipeline, batch);
    return true;
}

static bool shadow_fill_turn(struct shadow_fill *fill, size_t *events, struct err *err) {
    struct batch *batch = &fill->batches[fill->filling];
    bool ok = shadow_fill_fill(fill, err) && shadow_fill_finish(fill, err);
    *events = batch->count;
    if (!ok || batch->count == 0) {
        return ok;
    }
    if (batch->handled == 0) { /* and the next turn would do no more */
        return batch_describe_unhandled(&fill->pipeline, batch, err);
    }
    fill->inflight = true;
    fill->filling = !fill->filling;
    batch_split(&fill->pipeline, batch, &fill->batches[fill->filling]);
    return commit_begin(&fill->pipeline, batch, err);
}

static bool shadow_fill_time_out(const struct shadow_fill *fill, struct err *err) {
    const struct log_partition *partition = log_reader_waits_for(fill->reader);
    return partition
               ? err_set(err, ERR_TIMEOUT,
                         "reading the log timed out at offset %lld of %s [%d], before %lld",
                         (long long)partition->position, partition->topic, partition->number,
                         (long long)partition->until)
               : err_set(err, ERR_TIMEOUT, "storing the read records in the shadow timed out");
}

bool shadow_fill_run(struct shadow_fill *fill, int64_t deadline_us, struct progress *progress,
                     struct err *err) {
    int64_t received_us = clock_monotonic_us();
    while (fill->reader->unfinished > 0 || fill->inflight) {
        size_t events;
        if (!shadow_fill_turn(fill, &events, err)) {
            return false;
        }
        int64_t now_us = clock_monotonic_us();
        received_us = events > 0 ? now_us : received_us;
        if (now_us - received_us > SILENCE_S * 1000000LL) {
            return log_reader_fail_silent(fill->reader, SILENCE_S, err);
        }
        if (deadline_us > 0 && now_us > deadline_us) {
            return shadow_fill_finish(fill, err) && shadow_fill_time_out(fill, err);
        }
        if (progress) {
            progress_update(progress, fill->reader);
        }
    }
    return true;
}

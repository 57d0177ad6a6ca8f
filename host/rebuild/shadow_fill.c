#include "replay.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/after_commit.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"
#include "pipeline/outside_events.h"
#include "shadow.h"

#define POLL_MS 500
/* Kafka is silent for so long while records must still come. */
#define SILENCE_US (60 * 1000000LL)

static bool rebuild_replay_open_pipeline(struct replay *replay,
                                         struct script_generation *generation,
                                         const struct shadow *shadow, struct err *err) {
    struct pipeline_options options = {
        .generation = generation,
        .group = SHADOW_GROUP,
        .search_path = shadow->search_path,
        .qualifier = shadow->qualifier,
        .application_name = "aggregator rebuild",
        .muted = "the view is built anew, and touches no outside system",
        .no_breaker = true,
        .quiet = true,
        .mode = PIPELINE_FOLLOW,
        .release = kafka_message_release,
    };
    return pipeline_open(&replay->pipeline, &options, err);
}

bool replay_open(struct replay *replay, struct script_generation *generation,
                 struct log_reader *reader, const struct shadow *shadow, struct err *err) {
    *replay = (struct replay){.open = true, .reader = reader};
    bool ok = rebuild_replay_open_pipeline(replay, generation, shadow, err);
    batch_init(&replay->batches[0], generation);
    batch_init(&replay->batches[1], generation);
    if (ok) {
        log_reader_add_partitions(reader, &replay->pipeline.partitions);
    }
    ok = ok && pipeline_connect(&replay->pipeline, err) && offsets_load(&replay->pipeline, err);
    for (int i = 0; ok && i < 2; i++) {
        batch_clear(&replay->pipeline, &replay->batches[i]);
    }
    return ok;
}

void replay_close(struct replay *replay) {
    if (replay->open) {
        batch_free(&replay->pipeline, &replay->batches[0]);
        batch_free(&replay->pipeline, &replay->batches[1]);
        pipeline_close(&replay->pipeline);
    }
    replay->open = false;
}

/* ---- one turn ------------------------------------------------------------------------------ */

/* Whether a handler's time ran out depends on the machine, and not on the log. */
static void rebuild_replay_doubt_timeouts(struct batch *batch) {
    struct slice timeout = slice_of(script_rejection_code(SCRIPT_TIMEOUT));
    for (size_t i = 0; batch->rejected > 0 && i < batch->count; i++) {
        struct event *event = &batch->events[i];
        if (event->state == EVENT_REJECTED && slice_equal(event->reason, timeout)) {
            event->rests_on = "its time limit";
        }
    }
}

static bool rebuild_replay_fill(struct replay *replay, struct err *err) {
    struct pipeline *pipeline = &replay->pipeline;
    struct batch *batch = &replay->batches[replay->filling];
    int wait_ms = replay->inflight ? 0 : POLL_MS;
    while (!batch_full(pipeline, batch)) {
        struct log_record message;
        if (!log_reader_next(replay->reader, wait_ms, &message, err)) {
            break;
        }
        batch_take(pipeline, batch, &message);
        wait_ms = 0;
    }
    log_mute(true); /* what scripts log of these events has been said */
    batch_handle(pipeline, batch);
    log_mute(false);
    rebuild_replay_doubt_timeouts(batch);
    outside_events_exclude(batch);
    return err->kind == ERR_NONE;
}

/* Ends the transaction under way, refused rows set aside. */
static bool rebuild_replay_finish(struct replay *replay, struct err *err) {
    struct pipeline *pipeline = &replay->pipeline;
    struct batch *batch = &replay->batches[!replay->filling];
    if (!replay->inflight) {
        return true;
    }
    replay->inflight = false;
    if (!commit_end(pipeline, batch, err)) {
        return false;
    }
    after_commit(pipeline, batch);
    return true;
}

static bool rebuild_replay_turn(struct replay *replay, size_t *events, struct err *err) {
    struct batch *batch = &replay->batches[replay->filling];
    bool ok = rebuild_replay_fill(replay, err) && rebuild_replay_finish(replay, err);
    *events = batch->count;
    if (!ok || batch->count == 0) {
        return ok;
    }
    replay->inflight = true;
    replay->filling = !replay->filling;
    batch_split(&replay->pipeline, batch, &replay->batches[replay->filling]);
    return commit_begin(&replay->pipeline, batch, err);
}

bool replay_run(struct replay *replay, int64_t deadline_us,
                void (*tell)(void *context, const struct log_reader *reader), void *context,
                struct err *err) {
    int64_t heard_us = clock_monotonic_us();
    while (replay->reader->unfinished > 0 || replay->inflight) {
        size_t events;
        if (!rebuild_replay_turn(replay, &events, err)) {
            return false;
        }
        int64_t now_us = clock_monotonic_us();
        heard_us = events > 0 ? now_us : heard_us;
        if (now_us - heard_us > SILENCE_US) {
            return err_set(err, ERR_UNAVAILABLE, "kafka has sent nothing for %d s",
                           (int)(SILENCE_US / 1000000));
        }
        if (deadline_us > 0 && now_us > deadline_us) {
            return rebuild_replay_finish(replay, err) &&
                   err_set(err, ERR_TIMEOUT, "the log could not be read in time");
        }
        tell(context, replay->reader);
    }
    return true;
}

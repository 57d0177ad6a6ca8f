#include "announcer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "bindings/pg_reads.h"
#include "pipeline.h"
#include "processed_ids.h"

#define REFUSED_REST_US 5000000

/* A refused id is counted and logged by redis_refusal.h: the caches do not depend on it. */
static void announcer_note_id(struct announcer *announcer, const redisReply *reply) {
    announcer->ids_refused += reply->type == REDIS_REPLY_ERROR;
    seen_budget_take(&announcer->seen, reply);
}

/* Logs one line for all errors of a pipeline. The only integer is the reply to the announcement. */
static void announcer_note_reply(void *context, size_t index, const redisReply *reply) {
    struct announcer *announcer = context;
    if (index >= announcer->announcing) {
        announcer_note_id(announcer, reply);
        return;
    }
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
        announcer->missed = true;
    }
    if (reply->type == REDIS_REPLY_ERROR && !announcer->refused) {
        announcer->refused = true;
        log_warning("redis rejected a write: caching is off until a write succeeds",
                    LOG_TEXT("error", reply->str));
    }
}

static void announcer_end_pending(struct pipeline *pipeline) {
    if (pipeline->options.cache) {
        cache_end_pending(pipeline->options.cache, &pipeline->announcer.pending);
    }
}

static void announcer_set_doubt(struct pipeline *pipeline, bool doubtful) {
    if (pipeline->options.cache && pipeline->announcer.caches_doubtful != doubtful) {
        cache_doubt(pipeline->options.cache, doubtful, CACHE_DROP_NOT_ANNOUNCED);
    }
    pipeline->announcer.caches_doubtful = doubtful;
}

static bool announcer_rests(const struct announcer *announcer) {
    return redis_resting(announcer->redis) || clock_monotonic_us() < announcer->rest_until_us;
}

static struct cache_announcement announcer_begin_description(const struct pipeline *pipeline) {
    const char *position = pipeline->announcer.position;
    return (struct cache_announcement){.view = pipeline->view_epoch,
                                       .position = position[0] ? position : NULL};
}

static void announcer_add_position(struct cache_position *positions, size_t *count,
                                   const struct partition *partition, int64_t events) {
    if (partition->position) {
        positions[(*count)++] = (struct cache_position){
            .name = partition->position,
            .before = (uint64_t)(partition->counted - events),
            .counted = (uint64_t)partition->counted,
        };
    }
}

/* The caller frees the positions: of all partitions. */
static struct cache_announcement announcer_describe_all(const struct pipeline *pipeline) {
    const struct partitions *partitions = &pipeline->partitions;
    struct cache_announcement announcement = announcer_begin_description(pipeline);
    struct cache_position *positions = xcalloc(partitions->count + 1, sizeof *positions);
    for (size_t i = 0; i < partitions->count; i++) {
        announcer_add_position(positions, &announcement.position_count, &partitions->items[i], 0);
    }
    announcement.positions = positions;
    return announcement;
}

/* The same of those that the batch moved, and its tags. */
static struct cache_announcement announcer_describe(const struct pipeline *pipeline,
                                                    const struct batch *batch) {
    const struct partitions *partitions = &pipeline->partitions;
    struct cache_announcement announcement = announcer_begin_description(pipeline);
    struct cache_position *positions = xcalloc(batch->touched_count + 1, sizeof *positions);
    int64_t *events = xcalloc(partitions->count + 1, sizeof *events);
    for (size_t i = 0; i < batch->count; i++) {
        events[batch->events[i].record.partition] += batch->events[i].state != EVENT_WAITS;
    }
    for (size_t i = 0; i < batch->touched_count; i++) {
        size_t p = batch->touched[i];
        if (batch->advances[p].next >= 0) {
            announcer_add_position(positions, &announcement.position_count, &partitions->items[p],
                                   events[p]);
        }
    }
    free(events);
    announcement.positions = positions;
    announcement.tags = merge_tags(batch->merge, &announcement.tag_count);
    announcement.is_pending = true;
    return announcement;
}

/* batch NULL: announces that all cached responses are dropped. */
static bool announcer_append(struct pipeline *pipeline, const struct batch *batch,
                             struct err *err) {
    struct cache *cache = pipeline->options.cache;
    struct redis *redis = pipeline->announcer.redis;
    if (!cache) {
        return true;
    }
    bool of_all = pipeline->announcer.caches_doubtful || !batch;
    struct cache_announcement announcement =
        of_all ? announcer_describe_all(pipeline) : announcer_describe(pipeline, batch);
    bool ok = of_all ? cache_append_drop_all(cache, redis, &announcement, err)
                     : cache_append_announcement(cache, redis, &announcement, err);
    free((void *)announcement.positions);
    return ok;
}

/* Leaves the ids out if they have no room, or Redis refused some a moment ago. */
static bool announcer_append_ids(struct pipeline *pipeline, const struct batch *batch,
                                 struct err *err) {
    struct announcer *announcer = &pipeline->announcer;
    seen_budget_configure(&announcer->seen, pipeline->config->redis.seen_max_mb,
                          pipeline->config->redis.seen_ttl_s);
    bool rests = clock_monotonic_us() < announcer->ids_rest_until_us, ok = true;
    int ttl_s = rests ? 0 : seen_budget_ttl_s(&announcer->seen);
    int64_t ids = 0;
    for (size_t i = 0; ok && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if ((event->state == EVENT_APPLIED || event->state == EVENT_IGNORED ||
             event->state == EVENT_EXPIRED) &&
            event->has_id) {
            ok = ttl_s == 0 || processed_ids_append(announcer->redis, event, ttl_s, err);
            ids++;
        }
    }
    if (ttl_s == 0 && ids > 0) {
        seen_budget_note_skipped(ids);
    }
    return ok && (rests || seen_budget_add(&announcer->seen, announcer->redis, ttl_s > 0 ? ids : 0,
                                           ttl_s, err));
}

/* Without a reply, or with an error (Redis is out of memory, say), the commit counts as
 * unannounced. */
static void announcer_end(struct pipeline *pipeline, bool ok, const struct err *err) {
    struct announcer *announcer = &pipeline->announcer;
    announcer->under_way = false;
    if (announcer->refused) {
        announcer->rest_until_us = clock_monotonic_us() + REFUSED_REST_US;
    }
    if (announcer->ids_refused > 0) {
        announcer->ids_rest_until_us = clock_monotonic_us() + REFUSED_REST_US;
        seen_budget_note_skipped(announcer->ids_refused);
    }
    announcer_set_doubt(pipeline, !ok || announcer->refused || announcer->missed);
    if (announcer->of_commit) {
        announcer_end_pending(pipeline);
    }
    announcer->of_commit = announcer->refused = announcer->missed = false;
    announcer->ids_refused = 0;
    processed_ids_note_redis(pipeline, ok, err);
    if (ok) {
        FAULT_POINT("after_redis");
    }
}

static void announcer_send(struct pipeline *pipeline, bool appended, struct err *err) {
    struct announcer *announcer = &pipeline->announcer;
    announcer->under_way =
        appended && redis_begin(announcer->redis, announcer_note_reply, announcer, err);
    if (!announcer->under_way) {
        announcer_end(pipeline, false, err);
    }
}

static void announcer_finish(struct pipeline *pipeline) {
    struct err err = {0};
    if (pipeline->announcer.under_way) {
        announcer_end(pipeline, redis_finish(pipeline->announcer.redis, &err), &err);
    }
}

bool announcer_settle(struct pipeline *pipeline) {
    const struct announcer *announcer = &pipeline->announcer;
    announcer_finish(pipeline);
    return pipeline->options.cache && announcer->redis && !announcer->caches_doubtful &&
           !announcer_rests(announcer);
}

void announcer_close(struct pipeline *pipeline) {
    announcer_progress(pipeline); /* retries a failed announcement */
    announcer_finish(pipeline);
    announcer_set_doubt(pipeline, false);
    redis_destroy(pipeline->announcer.redis);
}

/* Before this process' caches forget: who reads again must see the commit. */
static void announcer_note_position(struct pipeline *pipeline) {
    struct pg_position position = pipeline->transaction.position;
    if (position.timeline > 0) {
        pg_position_format(position, pipeline->announcer.position);
        pg_reads_announce(position);
    }
}

void announcer_begin(struct pipeline *pipeline, struct batch *batch) {
    struct announcer *announcer = &pipeline->announcer;
    size_t tag_count;
    const uint64_t *tags = merge_tags(batch->merge, &tag_count);
    announcer_note_position(pipeline);
    if (pipeline->options.cache) {
        cache_invalidate_pending(pipeline->options.cache, tags, tag_count, &announcer->pending);
    }
    if (!announcer->redis) {
        announcer_end_pending(pipeline);
        return;
    }
    announcer_finish(pipeline);
    if (announcer_rests(announcer)) {
        announcer_set_doubt(pipeline, true);
        announcer_end_pending(pipeline);
        return;
    }
    struct err err = {0};
    bool ok = announcer_append(pipeline, batch, &err);
    announcer->announcing = redis_queued(announcer->redis);
    ok = ok && announcer_append_ids(pipeline, batch, &err);
    announcer->of_commit = tag_count > 0; /* without tags nothing is pending */
    announcer_send(pipeline, ok, &err);
}

void announcer_progress(struct pipeline *pipeline) {
    struct announcer *announcer = &pipeline->announcer;
    struct err err = {0};
    if (announcer->under_way) {
        enum redis_progress progress = redis_progress(announcer->redis, &err);
        if (progress != REDIS_PENDING) {
            announcer_end(pipeline, progress == REDIS_DONE, &err);
        }
    }
    if (!announcer->under_way && announcer->caches_doubtful && !announcer_rests(announcer)) {
        bool ok = announcer_append(pipeline, NULL, &err);
        announcer->announcing = redis_queued(announcer->redis);
        announcer_send(pipeline, ok, &err);
    }
}

struct pollfd announcer_poll(const struct announcer *announcer) {
    return announcer->under_way ? (struct pollfd){redis_socket(announcer->redis),
                                                  redis_poll_events(announcer->redis), 0}
                                : (struct pollfd){-1, 0, 0};
}

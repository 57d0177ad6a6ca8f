/* seen: event ids of the last 24 hours in Redis. It saves work and catches producers' duplicates;
 * nothing depends on it. An event is skipped only if the very same bytes were committed, by this
 * database, at an earlier offset of the same partition: so that neither a replay nor a database
 * restored from a backup can lose anything by it.
 *
 *     ras:seen:{event_id}  →  8 bytes identity (database, topic, partition, payload), 8 bytes
 * offset */
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/fault.h"
#include "../base/log.h"
#include "../base/uuid.h"
#include "../base/xalloc.h"
#include "pipeline.h"

#define SEEN_PREFIX "ras:seen:"
#define SEEN_KEY_LEN (sizeof SEEN_PREFIX - 1 + UUID_TEXT_LEN)
#define SEEN_VALUE_LEN 16
#define REFUSED_REST_US 5000000 /* whatever made Redis refuse a command does not end at once */

static void write_key(const struct event *event, char key[SEEN_KEY_LEN + 1]) {
    memcpy(key, SEEN_PREFIX, sizeof SEEN_PREFIX - 1);
    uuid_format(event->id, key + sizeof SEEN_PREFIX - 1);
}

static void note_redis(struct pipeline *pipeline, bool up, const struct err *err) {
    bool was_up = metric_value(pipeline->metrics.redis_up) > 0;
    metric_set(pipeline->metrics.redis_up, up ? 1 : 0);
    if (was_up && !up) {
        log_warning("redis is away: working without it", LOG_TEXT("error", err->text));
    } else if (!was_up && up) {
        log_info("redis is there");
    }
}

/* A replay is there to handle again what was handled before. */
static bool is_asked(const struct pipeline *pipeline, const struct event *event) {
    return event->state == EVENT_PENDING &&
           event->message.offset >=
               pipeline->partitions.items[event->message.partition].fresh_offset;
}

struct lookup {
    const struct pipeline *pipeline;
    struct event *events;
    size_t count;
};

static void on_lookup(void *context, size_t index, const redisReply *reply) {
    (void)index;
    struct lookup *lookup = context;
    if (reply->type != REDIS_REPLY_ARRAY) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < lookup->count && at < reply->elements; i++) {
        struct event *event = &lookup->events[i];
        if (!is_asked(lookup->pipeline, event)) {
            continue;
        }
        const redisReply *value = reply->element[at++];
        if (value->type != REDIS_REPLY_STRING || value->len != SEEN_VALUE_LEN) {
            continue;
        }
        uint64_t identity;
        int64_t offset;
        memcpy(&identity, value->str, 8);
        memcpy(&offset, value->str + 8, 8);
        if (identity == event->identity && offset < event->message.offset) {
            event->state = EVENT_DUPLICATE;
        }
    }
}

void seen_lookup(struct pipeline *pipeline, struct event *events, size_t count) {
    if (!pipeline->redis || redis_resting(pipeline->redis)) {
        return;
    }
    struct slice *args = xcalloc(count + 1, sizeof *args);
    char *keys = xcalloc(count ? count : 1, SEEN_KEY_LEN + 1);
    size_t used = 0;
    args[used++] = slice_of("MGET");
    for (size_t i = 0; i < count; i++) {
        if (is_asked(pipeline, &events[i])) {
            char *key = keys + i * (SEEN_KEY_LEN + 1);
            write_key(&events[i], key);
            args[used++] = (struct slice){key, SEEN_KEY_LEN};
        }
    }
    struct err err = {0};
    struct lookup lookup = {pipeline, events, count};
    if (used > 1) {
        bool ok = redis_append(pipeline->redis, args, used, &err) &&
                  redis_run(pipeline->redis, on_lookup, &lookup, &err);
        note_redis(pipeline, ok, &err);
    }
    free(keys);
    free(args);
}

static bool append_mark(struct pipeline *pipeline, const struct event *event, struct err *err) {
    char key[SEEN_KEY_LEN + 1];
    char value[SEEN_VALUE_LEN];
    char ttl[16];
    write_key(event, key);
    memcpy(value, &event->identity, 8);
    memcpy(value + 8, &event->message.offset, 8);
    int ttl_len = snprintf(ttl, sizeof ttl, "%d", pipeline->config->redis.seen_ttl_s);
    struct slice args[] = {slice_of("SET"),
                           {key, SEEN_KEY_LEN},
                           {value, SEEN_VALUE_LEN},
                           slice_of("EX"),
                           {ttl, (size_t)ttl_len}};
    return redis_append(pipeline->marks, args, 5, err);
}

/* One line for all that a pipeline's commands are refused for. The only integer is the answer to
 * what a batch's announcement notes. */
static void note_refusal(void *context, size_t index, const redisReply *reply) {
    (void)index;
    struct pipeline *pipeline = context;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
        pipeline->marks_missed = true;
    }
    if (reply->type == REDIS_REPLY_ERROR && !pipeline->marks_refused) {
        pipeline->marks_refused = true;
        log_warning("redis refused a command: no answer is cached until it takes one again",
                    LOG_TEXT("error", reply->str));
    }
}

static void end_pending(struct pipeline *pipeline) {
    if (pipeline->options.cache) {
        cache_end_pending(pipeline->options.cache, &pipeline->pending);
    }
}

static void set_doubt(struct pipeline *pipeline, bool doubtful) {
    if (pipeline->options.cache && pipeline->caches_doubtful != doubtful) {
        cache_doubt(pipeline->options.cache, doubtful, CACHE_DROP_NOT_ANNOUNCED);
    }
    pipeline->caches_doubtful = doubtful;
}

static bool marks_rest(const struct pipeline *pipeline) {
    return redis_resting(pipeline->marks) || clock_monotonic_us() < pipeline->marks_rest_until_us;
}

/* What other processes are told of a batch. The caller frees the positions. */
static struct cache_announcement announcement_of(const struct pipeline *pipeline,
                                                 const struct batch *batch) {
    struct cache_announcement announcement = {.view = pipeline->view_epoch};
    struct cache_position *positions = xcalloc(batch->advance_count + 1, sizeof *positions);
    int64_t *events = xcalloc(batch->advance_count + 1, sizeof *events);
    for (size_t i = 0; i < batch->count; i++) {
        events[batch->events[i].message.partition] += batch->events[i].state != EVENT_WAITS;
    }
    for (size_t i = 0; i < batch->advance_count; i++) {
        const struct partition *partition = &pipeline->partitions.items[i];
        if (batch->advances[i].next >= 0 && partition->position) {
            positions[announcement.position_count++] = (struct cache_position){
                .name = partition->position,
                .before = (uint64_t)(partition->counted - events[i]),
                .counted = (uint64_t)partition->counted,
            };
        }
    }
    free(events);
    announcement.tags = merge_tags(batch->merge, &announcement.tag_count);
    announcement.positions = positions;
    return announcement;
}

/* Of all partitions that the pipeline has. */
static struct cache_announcement announcement_of_all(const struct pipeline *pipeline) {
    const struct partitions *partitions = &pipeline->partitions;
    struct cache_announcement announcement = {.view = pipeline->view_epoch};
    struct cache_position *positions = xcalloc(partitions->count + 1, sizeof *positions);
    for (size_t i = 0; i < partitions->count; i++) {
        if (partitions->items[i].position) {
            positions[announcement.position_count++] = (struct cache_position){
                .name = partitions->items[i].position,
                .counted = (uint64_t)partitions->items[i].counted,
            };
        }
    }
    announcement.positions = positions;
    return announcement;
}

/* batch NULL: all must be forgotten in any case. */
static bool append_announcement(struct pipeline *pipeline, const struct batch *batch,
                                struct err *err) {
    struct cache *cache = pipeline->options.cache;
    if (!cache) {
        return true;
    }
    bool of_all = pipeline->caches_doubtful || !batch;
    struct cache_announcement announcement =
        of_all ? announcement_of_all(pipeline) : announcement_of(pipeline, batch);
    bool ok = of_all ? cache_append_announcement_of_all(cache, pipeline->marks, &announcement, err)
                     : cache_append_announcement(cache, pipeline->marks, &announcement, err);
    free((void *)announcement.positions);
    return ok;
}

/* Whether Redis was told of all commits is known only where it answered, and did not refuse (it is
 * out of memory, say). */
static void end_marks(struct pipeline *pipeline, bool ok, const struct err *err) {
    pipeline->marking = false;
    if (pipeline->marks_refused) {
        pipeline->marks_rest_until_us = clock_monotonic_us() + REFUSED_REST_US;
    }
    set_doubt(pipeline, !ok || pipeline->marks_refused || pipeline->marks_missed);
    if (pipeline->announcing) {
        end_pending(pipeline);
    }
    pipeline->announcing = false;
    pipeline->marks_refused = pipeline->marks_missed = false;
    note_redis(pipeline, ok, err);
    if (ok) {
        FAULT_POINT("after_redis");
    }
}

static void begin_marks(struct pipeline *pipeline, bool appended, struct err *err) {
    pipeline->marking = appended && redis_begin(pipeline->marks, note_refusal, pipeline, err);
    if (!pipeline->marking) {
        end_marks(pipeline, false, err);
    }
}

static void finish_marks(struct pipeline *pipeline) {
    struct err err = {0};
    if (pipeline->marking) {
        end_marks(pipeline, redis_finish(pipeline->marks, &err), &err);
    }
}

void seen_close(struct pipeline *pipeline) {
    seen_progress(pipeline); /* what is not announced yet has a last chance */
    finish_marks(pipeline);
    set_doubt(pipeline, false);
}

void seen_mark(struct pipeline *pipeline, struct batch *batch) {
    size_t tag_count;
    const uint64_t *tags = merge_tags(batch->merge, &tag_count);
    if (pipeline->options.cache) {
        cache_invalidate_pending(pipeline->options.cache, tags, tag_count, &pipeline->pending);
    }
    if (!pipeline->marks) {
        end_pending(pipeline);
        return;
    }
    finish_marks(pipeline);
    if (marks_rest(pipeline)) {
        set_doubt(pipeline, true);
        end_pending(pipeline);
        return;
    }
    struct err err = {0};
    bool ok = append_announcement(pipeline, batch, &err);
    for (size_t i = 0; ok && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if ((event->state == EVENT_APPLIED || event->state == EVENT_IGNORED) && event->has_id) {
            ok = append_mark(pipeline, event, &err);
        }
    }
    pipeline->announcing = true;
    begin_marks(pipeline, ok, &err);
}

void seen_progress(struct pipeline *pipeline) {
    struct err err = {0};
    if (pipeline->marking) {
        enum redis_progress progress = redis_progress(pipeline->marks, &err);
        if (progress != REDIS_PENDING) {
            end_marks(pipeline, progress == REDIS_DONE, &err);
        }
    }
    if (!pipeline->marking && pipeline->caches_doubtful && !marks_rest(pipeline)) {
        begin_marks(pipeline, append_announcement(pipeline, NULL, &err), &err);
    }
}

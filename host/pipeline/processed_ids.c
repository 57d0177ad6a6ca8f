/* processed_ids: event ids of the last 24 hours in Redis. They save work and find producers'
 * duplicates; correctness does not depend on them. An event is skipped only if this database
 * committed the same bytes at an earlier offset of the same partition: neither a replay nor a
 * restored backup loses an event.
 *
 *     ras:seen:{event_id}  →  8 bytes identity (database, topic, partition, payload), 8 offset
 */
#include "processed_ids.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/uuid.h"
#include "base/xalloc.h"
#include "pipeline.h"

#define PROCESSED_PREFIX "ras:seen:"
#define PROCESSED_KEY_LEN (sizeof PROCESSED_PREFIX - 1 + UUID_TEXT_LEN)
#define PROCESSED_VALUE_LEN 16

static void processed_ids_write_key(const struct event *event, char key[PROCESSED_KEY_LEN + 1]) {
    memcpy(key, PROCESSED_PREFIX, sizeof PROCESSED_PREFIX - 1);
    uuid_format(event->id, key + sizeof PROCESSED_PREFIX - 1);
}

void processed_ids_note_redis(struct pipeline *pipeline, bool up, const struct err *err) {
    bool was_up = metric_value(pipeline->metrics.redis_up) > 0;
    metric_set(pipeline->metrics.redis_up, up ? 1 : 0);
    if (was_up && !up) {
        log_warning("redis is unavailable: ingestion continues without it",
                    LOG_TEXT("error", err->text));
    } else if (!was_up && up) {
        log_info("redis is available");
    }
}

/* A replay handles processed events again. */
static bool processed_ids_is_asked(const struct pipeline *pipeline, const struct event *event) {
    return event->state == EVENT_PENDING &&
           event->record.offset >= pipeline->partitions.items[event->record.partition].fresh_offset;
}

struct processed_lookup {
    const struct pipeline *pipeline;
    struct event *events;
    size_t count;
};

static void processed_ids_on_reply(void *context, size_t index, const redisReply *reply) {
    (void)index;
    struct processed_lookup *lookup = context;
    if (reply->type != REDIS_REPLY_ARRAY) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < lookup->count && at < reply->elements; i++) {
        struct event *event = &lookup->events[i];
        if (!processed_ids_is_asked(lookup->pipeline, event)) {
            continue;
        }
        const redisReply *value = reply->element[at++];
        if (value->type != REDIS_REPLY_STRING || value->len != PROCESSED_VALUE_LEN) {
            continue;
        }
        uint64_t identity;
        int64_t offset;
        memcpy(&identity, value->str, 8);
        memcpy(&offset, value->str + 8, 8);
        if (identity == event->identity && offset < event->record.offset) {
            event->state = EVENT_DUPLICATE;
        }
    }
}

void processed_ids_look_up(struct pipeline *pipeline, struct event *events, size_t count) {
    if (!pipeline->redis || redis_resting(pipeline->redis)) {
        return;
    }
    struct slice *args = xcalloc(count + 1, sizeof *args);
    char *keys = xcalloc(count ? count : 1, PROCESSED_KEY_LEN + 1);
    size_t used = 0;
    args[used++] = slice_of("MGET");
    for (size_t i = 0; i < count; i++) {
        if (processed_ids_is_asked(pipeline, &events[i])) {
            char *key = keys + i * (PROCESSED_KEY_LEN + 1);
            processed_ids_write_key(&events[i], key);
            args[used++] = (struct slice){key, PROCESSED_KEY_LEN};
        }
    }
    struct err err = {0};
    struct processed_lookup lookup = {pipeline, events, count};
    if (used > 1) {
        bool ok = redis_append(pipeline->redis, args, used, &err) &&
                  redis_run(pipeline->redis, processed_ids_on_reply, &lookup, &err);
        processed_ids_note_redis(pipeline, ok, &err);
    }
    free(keys);
    free(args);
}

bool processed_ids_append(struct redis *redis, const struct event *event, int ttl_s,
                          struct err *err) {
    char key[PROCESSED_KEY_LEN + 1];
    char value[PROCESSED_VALUE_LEN];
    char ttl[16];
    processed_ids_write_key(event, key);
    memcpy(value, &event->identity, 8);
    memcpy(value + 8, &event->record.offset, 8);
    int ttl_len = snprintf(ttl, sizeof ttl, "%d", ttl_s);
    struct slice args[] = {slice_of("SET"),
                           {key, PROCESSED_KEY_LEN},
                           {value, PROCESSED_VALUE_LEN},
                           slice_of("EX"),
                           {ttl, (size_t)ttl_len}};
    return redis_append(redis, args, 5, err);
}

/* processed_ids: Redis' memory of the events that were committed. The pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_PROCESSED_IDS_H
#define AGG_HOST_PIPELINE_PROCESSED_IDS_H

#include "bindings/redis.h"
#include "batch.h"

/* Asks in one MGET; events that Redis knows become EVENT_DUPLICATE. */
void processed_ids_look_up(struct pipeline *pipeline, struct event *events, size_t count);
/* Queues what remembers the event, which has an id. */
bool processed_ids_append(struct redis *redis, const struct event *event, int ttl_s,
                          struct err *err);
/* Redis has answered, or not: for the metric, and for the log where that changes. */
void processed_ids_note_redis(struct pipeline *pipeline, bool up, const struct err *err);

#endif

/* processed_ids: ids of committed events in Redis. The pipeline's thread. */
#pragma once

#include "bindings/redis.h"
#include "batch.h"

/* Looks the events up in one MGET; known ones become EVENT_DUPLICATE. */
void processed_ids_look_up(struct pipeline *pipeline, struct event *events, size_t count);
/* Queues the SET of the event's id. The event must have one. */
bool processed_ids_append(struct redis *redis, const struct event *event, int ttl_s,
                          struct err *err);
/* Sets the metric and logs a change. */
void processed_ids_note_redis(struct pipeline *pipeline, bool up, const struct err *err);

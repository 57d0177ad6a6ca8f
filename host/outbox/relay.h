/* relay: a thread that publishes pending messages of the outbox in order of their rows, so that
 * messages of one key keep their order. One process for each database publishes: it holds a lease.
 * The Kafka client keeps its queue during an outage of Kafka, so that each message is sent once;
 * after a kill, or without the database for longer than the lease, messages in flight may be sent
 * again with the same bytes.
 *
 * No other thread waits for the relay: without Kafka or the database messages stay pending. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "outbox.h"

/* The config must outlive it. Needs no server. It claims no lease before outbox_relay_release.
 * NULL: err is set. */
struct outbox_relay *outbox_relay_start(const struct config *config, struct err *err);
/* Any thread; NULL is allowed. */
void outbox_relay_release(struct outbox_relay *relay);
/* Waits up to STOP_MS for messages in flight, and releases the lease. The report goes on. */
void outbox_relay_end(struct outbox_relay *relay);
/* The same if it has not ended, and frees. NULL is allowed. */
void outbox_relay_stop(struct outbox_relay *relay);
/* Appends `"outbox":{…}`: pending messages, their age, and the error. Any thread. */
void outbox_relay_report(struct outbox_relay *relay, struct buffer *json);

/* relay: a thread that publishes what is pending in the outbox, in order of the rows, so that
 * messages of one key keep their order. Of the processes at one database one publishes at a time:
 * it holds a lease, and keeps the Kafka client with all that it has given to it for as long as it
 * lives. So an outage of Kafka ends with every message sent once; after a kill, what the client had
 * may be sent again, with the same bytes.
 *
 * Nothing waits for the relay: without Kafka or the database messages stay pending. */
#ifndef AGG_HOST_OUTBOX_RELAY_H
#define AGG_HOST_OUTBOX_RELAY_H

#include "base/buffer.h"
#include "config/config.h"
#include "outbox.h"

/* The config must outlive it. NULL: err says why. No server need be there. */
struct outbox_relay *outbox_relay_start(const struct config *config, struct err *err);
/* Waits at most some seconds for what is under way, and gives the lease back. NULL is allowed. */
void outbox_relay_stop(struct outbox_relay *relay);
/* Appends `"outbox":{…}`: what waits, since when, who publishes, what is wrong. Any thread. */
void outbox_relay_report(struct outbox_relay *relay, struct buffer *json);

#endif

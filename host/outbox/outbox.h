/* outbox: messages for other services. They are stored in the transaction that makes them true
 * (store.c), and a thread of the process publishes them after it (relay.h). Knows the table outbox
 * and no event. */
#ifndef AGG_HOST_OUTBOX_OUTBOX_H
#define AGG_HOST_OUTBOX_OUTBOX_H

#include <stdint.h>

#include "bindings/pg.h"

/* Of topic, key, value and headers together. Far above what Kafka takes by its defaults: a message
 * between the two is stored and becomes `failed`, so that operators see it and may raise Kafka's.
 */
#define OUTBOX_MESSAGE_MAX_BYTES 4000000
#define OUTBOX_IDENTITY_MAX_BYTES 200
#define OUTBOX_TOPIC_MAX_BYTES 249
#define OUTBOX_KEY_MAX_BYTES 1024

/* One message. Slices are borrowed, and UTF-8 without NUL; `key`, `about` and `traceparent` may be
 * absent. */
struct outbox_message {
    struct slice topic, key, value;
    struct slice headers;  /* a JSON object of texts; absent: none */
    struct slice identity; /* of the fact: the same fact has the same one, and the same bytes */
    int64_t fact_at_us;    /* when it became true, Unix */
    struct slice source;   /* "reaction NAME" or "handler NAME" */
    struct slice about;    /* what it was made of: the reaction's key, or the id of the event */
    struct slice scripts;  /* the hash of the scripts that made it */
    struct slice traceparent;
};

/* What one statement did with its messages. */
struct outbox_stored {
    int64_t pending;     /* stored, to be published */
    int64_t settled;     /* stored, and not to be published: older than the horizon */
    int64_t known;       /* their identity was there */
    int64_t conflicting; /* of the known ones, those that say something else */
    char conflict[OUTBOX_IDENTITY_MAX_BYTES + 1]; /* the identity of one of them */
    char conflict_source[128], conflict_topic[256], conflict_key[128]; /* its own, cut */
};

/* Queues one INSERT of all messages, in order; nothing where there are none. `params` is reset and
 * used. Its result is one for outbox_stored_add. ERR_INPUT at its result: Postgres refuses a value.
 */
bool outbox_send(struct pg *pg, struct pg_params *params, const struct outbox_message *messages,
                 size_t count, int horizon_hours, struct err *err);
/* Adds up what a result of outbox_send says. False, with nothing done: it is another statement's.
 */
bool outbox_stored_add(struct outbox_stored *stored, const struct pg_result *result);
/* After the commit: counts them, and logs a conflict as an error. */
void outbox_stored_count(const struct outbox_stored *stored);

struct outbox_relay;
/* Rows were committed: the relay looks at once. NULL: no relay runs here. Any thread. */
void outbox_wake(struct outbox_relay *relay);

#endif

/* outbox: messages for other services. store.c stores them in the transaction that they report on;
 * a thread publishes them after its commit (relay.h). */
#pragma once

#include <stdint.h>

#include "bindings/pg.h"

/* Of topic, key, value and headers together. Kafka's default limit is far below: a message between
 * the two is stored and becomes `failed`, so that operators see it and may raise Kafka's limit. */
#define OUTBOX_MESSAGE_MAX_BYTES 4000000
#define OUTBOX_IDENTITY_MAX_BYTES 200
#define OUTBOX_TOPIC_MAX_BYTES 249
#define OUTBOX_KEY_MAX_BYTES 1024

/* One message. Slices are borrowed, and UTF-8 without NUL; `key`, `about` and `traceparent` may be
 * absent. */
struct outbox_message {
    struct slice topic, key, value;
    struct slice headers;  /* a JSON object of strings; absent: none */
    struct slice identity; /* unique for the fact: a repetition has the same identity and bytes */
    int64_t fact_at_us;    /* when it became true, since 1970 */
    struct slice source;   /* "reaction NAME" or "handler NAME" */
    struct slice about;    /* the reaction's key, or the id of the event */
    struct slice scripts;  /* hash of the scripts */
    struct slice traceparent;
};

/* The outcome of outbox_send. */
struct outbox_stored {
    int64_t pending;     /* stored, to be published */
    int64_t settled;     /* stored, older than the horizon: not to be published */
    int64_t known;       /* their identity was stored before */
    int64_t conflicting; /* known ones with other content */
    char conflict[OUTBOX_IDENTITY_MAX_BYTES + 1]; /* the identity of one of them */
    char conflict_source[128], conflict_topic[256], conflict_key[128]; /* its own, truncated */
};

/* Queues one INSERT of all messages, in order; none for no messages. Resets and uses `params`. Its
 * result is for outbox_stored_add; ERR_INPUT: Postgres refused a value. */
bool outbox_send(struct pg *pg, struct pg_params *params, const struct outbox_message *messages,
                 size_t count, int horizon_hours, struct err *err);
/* Adds a result of outbox_send. False, with no effect: the result of another statement. */
bool outbox_stored_add(struct outbox_stored *stored, const struct pg_result *result);
/* After the commit: updates the metrics, and logs conflicts as an error. */
void outbox_stored_count(const struct outbox_stored *stored);

struct outbox_relay;
/* Rows were committed: the relay reads them now. NULL: no relay in this process. Any thread. */
void outbox_wake(struct outbox_relay *relay);

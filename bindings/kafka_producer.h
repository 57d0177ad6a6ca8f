/* kafka_producer: Kafka producers. Script threads share one, from the first acquire to the last
 * release, which waits at most a second for records in flight; the outbox has its own. acks=all,
 * idempotent: a delivered record is in every in-sync replica, once. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka_settings.h"

struct kafka_producer;
struct kafka_send;

struct kafka_header {
    const char *name;
    struct slice value;
};

struct kafka_record {
    const char *topic;
    struct slice key;   /* data NULL: no key, any partition */
    struct slice value; /* data NULL: a tombstone */
    const struct kafka_header *headers;
    size_t header_count;
};

/* The delivery report of a record. */
struct kafka_delivery {
    enum err_kind kind; /* ERR_NONE: delivered */
    const char *reason; /* static text; if not delivered */
    bool of_topic;      /* applies to all records of the topic: it is missing or not writable */
    int32_t partition;
    int64_t offset;
    int64_t at_us; /* since 1970: when the report came */
};

/* Any thread. The first settings apply to all until the last release. A record fails after
 * message_timeout_ms. Opens no connection yet. Every acquire needs a release. After a fatal error
 * the next acquire creates a new producer. */
struct kafka_producer *kafka_producer_acquire(const struct kafka_settings *settings,
                                              int message_timeout_ms, struct err *err);
void kafka_producer_release(struct kafka_producer *producer);
/* A producer that is not shared, for records in order: after Kafka has refused a request it sends
 * no other (kafka_producer_refused), so that no later record of a key overtakes an earlier one. A
 * record fails after message_timeout_ms (0: never), or once Kafka reports its topic as unknown. */
struct kafka_producer *kafka_producer_open(const struct kafka_settings *settings,
                                           int message_timeout_ms, struct err *err);
/* Purges the queue and frees the producer: records in flight may be delivered, others are not sent.
 * All records have their report when this returns. */
void kafka_producer_abandon(struct kafka_producer *producer);
/* True after a fatal error: release it and acquire another. */
bool kafka_producer_broken(const struct kafka_producer *producer);
/* It is broken because Kafka refused a request, whose records have the reason in their reports.
 * Those of records that were not sent for it do not say that they were refused. */
bool kafka_producer_refused(const struct kafka_producer *producer);
/* The reason of the fatal error, a static text for readers without a login; NULL: none. Reports of
 * records that were not sent for it have the same reason. */
const char *kafka_producer_failure(const struct kafka_producer *producer);

/* Up to `capacity` records sent together. One thread adds and waits; reports come on another
 * thread, also after the wait or after the sender's unref. */
struct kafka_send *kafka_send_create(size_t capacity);
void kafka_send_unref(struct kafka_send *send);
/* Copies the record into the producer's queue. A failure to queue is reported as a delivery. */
void kafka_send_add(struct kafka_send *send, struct kafka_producer *producer,
                    const struct kafka_record *record);
/* Waits until every record has its report, at most timeout_ms. */
void kafka_send_wait(struct kafka_send *send, int timeout_ms);
/* `done` is called when the last due report arrives, on the thread of reports; it must not block.
 */
void kafka_send_on_done(struct kafka_send *send, void (*done)(void *context), void *context);
/* Whether the index-th record added has its report. */
bool kafka_send_reported(struct kafka_send *send, size_t index);
/* Of the index-th record added; ERR_TIMEOUT without a report: it may still be delivered. */
struct kafka_delivery kafka_send_delivery(struct kafka_send *send, size_t index);

/* kafka_producer: producers. The threads that run scripts share one, made at the first acquire and
 * gone with the last release, which waits at most a second for what is still under way; the outbox
 * has one of its own. acks=all, idempotent: a record that is reported delivered is in every in-sync
 * replica, once. Knows no Lua. */
#ifndef AGG_BINDINGS_KAFKA_PRODUCER_H
#define AGG_BINDINGS_KAFKA_PRODUCER_H

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
    struct slice key;   /* data NULL: none, and any partition */
    struct slice value; /* data NULL: none (a tombstone) */
    const struct kafka_header *headers;
    size_t header_count;
};

/* What became of a record. */
struct kafka_delivery {
    enum err_kind kind; /* ERR_NONE: delivered */
    const char *reason; /* static text, where it was not */
    bool of_topic; /* so are all records for this topic: it is not there, or not ours to write */
    int32_t partition;
    int64_t offset;
};

/* Any thread. The first settings hold for all until the last release. A record is given up after
 * message_timeout_ms. No network yet. The one who acquires releases. A producer that met a fatal
 * error is replaced at the next acquire. */
struct kafka_producer *kafka_producer_acquire(const struct kafka_settings *settings,
                                              int message_timeout_ms, struct err *err);
void kafka_producer_release(struct kafka_producer *producer);
/* One that is not shared. A record is given up after message_timeout_ms (0: never), or once its
 * topic is known not to be there. */
struct kafka_producer *kafka_producer_open(const struct kafka_settings *settings,
                                           int message_timeout_ms, struct err *err);
/* Gives up what was not delivered: whatever has been sent may arrive, the rest is not sent. All
 * that was added has its report when this returns. */
void kafka_producer_abandon(struct kafka_producer *producer);
/* True once a fatal error makes it useless: release it, acquire another. */
bool kafka_producer_broken(const struct kafka_producer *producer);

/* Up to `capacity` records sent together. One thread adds and waits; reports come on another one,
 * and may come after the wait is over, or after the sender has let go. */
struct kafka_send *kafka_send_create(size_t capacity);
void kafka_send_unref(struct kafka_send *send);
/* Copies the record into the producer's queue. One that cannot even be queued counts as reported.
 */
void kafka_send_add(struct kafka_send *send, struct kafka_producer *producer,
                    const struct kafka_record *record);
/* Until every record was reported or the time is over. */
void kafka_send_wait(struct kafka_send *send, int timeout_ms);
/* From now on `done` is called whenever a report is the last one due; on the thread of reports,
 * which it must not hold up. */
void kafka_send_on_done(struct kafka_send *send, void (*done)(void *context), void *context);
/* Whether the index-th record added has its report. */
bool kafka_send_reported(struct kafka_send *send, size_t index);
/* Of the index-th record added; ERR_TIMEOUT if there was no report: it may yet be delivered. */
struct kafka_delivery kafka_send_delivery(struct kafka_send *send, size_t index);

#endif

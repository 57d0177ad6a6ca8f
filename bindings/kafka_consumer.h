/* kafka_consumer: a Kafka consumer, with or without a group. One thread, which also runs the
 * callbacks. The caller manages offsets: the client stores and commits none by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka_errors.h"
#include "kafka_settings.h"

struct kafka_consumer;

/* Of a query to the brokers, for functions without a timeout parameter. */
#define KAFKA_ASK_TIMEOUT_MS 15000
/* For kafka_consumer_ask. */
#define KAFKA_LOG_BEGIN (-2) /* the first offset of the log */
#define KAFKA_LOG_END (-1)   /* the offset after the last record */

/* An offset of a partition. */
struct kafka_place {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t offset;
    struct kafka_error error; /* of a reply; kind KAFKA_ERROR_NONE: offset is set */
};

/* A change of a member's partitions. Borrowed for the callback. */
struct kafka_rebalance {
    bool come;        /* assigned; else revoked */
    bool lost;        /* revoked without notice: another member may have them */
    bool cooperative; /* an incremental change; else these are all of its partitions */
    const struct kafka_place *places;
    size_t count;
};

/* Callbacks of a member, called from kafka_consumer_next and kafka_consumer_leave. */
struct kafka_member_calls {
    /* New partitions are not fetched before kafka_consumer_fetch. */
    void (*on_rebalance)(void *context, const struct kafka_rebalance *rebalance);
    /* An error of the whole client. detail: librdkafka's text, with hosts. */
    void (*on_error)(void *context, const struct kafka_error *error, const char *detail);
    void *context;
};

struct kafka_consumer_options {
    struct kafka_settings settings;
    int member;                             /* its number among the process's members */
    int nice;                               /* added to that of the threads that fetch */
    const struct kafka_member_calls *calls; /* copied; NULL: no member */
    bool skips_gaps; /* after an offset that the log no longer has, reads from its first one; else
                        KAFKA_ERROR_NO_OFFSET */
};

/* Opens no connection yet. NULL: err names the wrong property. */
struct kafka_consumer *kafka_consumer_open(const struct kafka_consumer_options *options,
                                           struct err *err);
/* Leaves the group, within five seconds; calls on_rebalance for the remaining partitions. */
void kafka_consumer_leave(struct kafka_consumer *consumer);
/* All messages must have been released. A consumer that did not leave, or does not end, in time
 * closes on a thread of its own. NULL is allowed. */
void kafka_consumer_destroy(struct kafka_consumer *consumer);
/* Takes the current login of the configuration if it changed. after_refusal: a broker has just
 * refused the last one. */
void kafka_consumer_renew_login(struct kafka_consumer *consumer, bool after_refusal);
/* The files of its TLS have changed since it was opened: only another client reads them. */
bool kafka_consumer_files_changed(const struct kafka_consumer *consumer);
/* KAFKA_ERROR_FENCED or KAFKA_ERROR_FATAL if the client cannot work any more, also when on_error
 * was not called for it. */
struct kafka_error kafka_consumer_fatal(const struct kafka_consumer *consumer);

/* ---- fetching -------------------------------------------------------------------------------- */

struct kafka_message {
    struct kafka_error error; /* kind KAFKA_ERROR_NONE: a record */
    const char *detail;       /* of an error: librdkafka's text */
    const char *topic;        /* NULL: an error of the whole client */
    int32_t partition;
    int64_t offset;
    int64_t time_us; /* of the broker or the producer, since 1970, at most the year 9999; 0: none */
    struct slice value; /* data NULL: none */
    void *owner;        /* of the borrowed memory; for kafka_message_release */
};

/* True: the caller releases *message. False: none within timeout_ms. */
bool kafka_consumer_next(struct kafka_consumer *consumer, int timeout_ms,
                         struct kafka_message *message);
/* The last header of that name; data NULL: none. Borrowed from the message. */
struct slice kafka_message_header(const struct kafka_message *message, const char *name);
/* The record's key; data NULL: none. owner: of a message. */
struct slice kafka_message_key(const void *owner);
/* owner: of a message. */
void kafka_message_release(void *owner);
/* Of a member: an eventfd(2), readable when the empty queue gets a message. */
int kafka_consumer_event_fd(const struct kafka_consumer *consumer);

/* ---- the group ----------------------------------------------------------------------------- */

/* Subscribes to these topics and no others. */
bool kafka_consumer_subscribe(struct kafka_consumer *consumer, const char *const *topics,
                              size_t count, struct err *err);
/* Fetches these partitions from their offsets, and no others. */
bool kafka_consumer_fetch(struct kafka_consumer *consumer, const struct kafka_place *places,
                          size_t count, struct err *err);
bool kafka_consumer_is_cooperative(const struct kafka_consumer *consumer);
/* Of a member, as often as heartbeat.interval.ms: librdkafka 2.0 sends a heartbeat that is due only
 * when its main thread wakes, which it does by itself once a second. A heartbeat tells the member
 * of a rebalance. */
void kafka_consumer_beat(struct kafka_consumer *consumer);
/* How long a member can wait for the others in a rebalance. */
int64_t kafka_consumer_rebalance_limit_us(const struct kafka_consumer *consumer);
/* Begins to commit the group's offsets in Kafka. One at a time. */
bool kafka_consumer_report(struct kafka_consumer *consumer, const struct kafka_place *places,
                           size_t count);
/* False: no reply within timeout_ms. Calls on_place for each place of the reply; *refusal is its
 * first error. */
bool kafka_consumer_report_reply(struct kafka_consumer *consumer, int timeout_ms,
                                 void (*on_place)(void *context, const struct kafka_place *place),
                                 void *context, struct kafka_error *refusal);

/* ---- queries to the cluster --------------------------------------------------------------- */

/* Sets each place's offset, or its error. when: KAFKA_LOG_BEGIN, KAFKA_LOG_END or a time in ms. */
void kafka_consumer_ask(struct kafka_consumer *consumer, struct kafka_place *places, size_t count,
                        int64_t when, int timeout_ms);
/* Sets each place's offset to that of its first record since the broker time (Unix); negative: no
 * such record. ERR_INPUT: Kafka lacks the topic or partition. */
bool kafka_consumer_offsets_at(struct kafka_consumer *consumer, struct kafka_place *places,
                               size_t count, int64_t time_ms, struct err *err);
/* The first offset of a partition's log, and the one after its last. */
bool kafka_consumer_bounds(struct kafka_consumer *consumer, const char *topic, int32_t partition,
                           int64_t bounds[2], struct err *err);
/* The same from the last fetch, without a query. False: unknown. */
bool kafka_consumer_cached_bounds(const struct kafka_consumer *consumer, const char *topic,
                                  int32_t partition, int64_t bounds[2]);
/* Pauses or resumes fetching a partition. */
bool kafka_consumer_set_paused(struct kafka_consumer *consumer, const char *topic,
                               int32_t partition, bool paused, struct err *err);
/* Calls on_partition for each partition of each topic that the login may read. */
bool kafka_consumer_list(struct kafka_consumer *consumer,
                         void (*on_partition)(void *context, const char *topic, int32_t partition),
                         void *context, struct err *err);
enum kafka_access { KAFKA_ACCESS_UNKNOWN, KAFKA_ACCESS_GIVEN, KAFKA_ACCESS_REFUSED };
/* Whether the login may read the topic; unknown if no broker replies in time. */
enum kafka_access kafka_consumer_topic_access(struct kafka_consumer *consumer, const char *topic,
                                              int timeout_ms);
struct kafka_broker {
    int32_t id;
    char address[264]; /* host:port */
};
/* The cluster's brokers, freed by the caller; NULL: no reply in time. */
struct kafka_broker *kafka_consumer_brokers(struct kafka_consumer *consumer, int timeout_ms,
                                            size_t *count);

/* kafka_consumer: a Kafka consumer: the member of a group, or a reader that belongs to none. One
 * thread, on which the calls back are made too. Offsets are the caller's: the client neither stores
 * nor commits any by itself. Knows no Lua and none of the program's configuration. */
#ifndef AGG_BINDINGS_KAFKA_CONSUMER_H
#define AGG_BINDINGS_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka_errors.h"
#include "kafka_settings.h"

struct kafka_consumer;

/* How long a question to the brokers may take, where a function takes no timeout. */
#define KAFKA_ASK_TIMEOUT_MS 15000
/* The offsets of a partition that kafka_consumer_ask knows. */
#define KAFKA_LOG_BEGIN (-2) /* the first that the log has */
#define KAFKA_LOG_END (-1)   /* behind its last record */

/* A partition and an offset of it. */
struct kafka_place {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t offset;
    struct kafka_error error; /* of an answer; kind KAFKA_ERROR_NONE: offset is known */
};

/* A change of a member's partitions. Borrowed for the call. */
struct kafka_rebalance {
    bool come;        /* else they go */
    bool lost;        /* gone already: another member may have them */
    bool cooperative; /* the member keeps its others; else these are all that it had or has */
    const struct kafka_place *places;
    size_t count;
};

/* What a member is called back for, from within kafka_consumer_next and kafka_consumer_leave. */
struct kafka_member_calls {
    /* Nothing is fetched of what came until kafka_consumer_fetch. */
    void (*on_rebalance)(void *context, const struct kafka_rebalance *rebalance);
    /* An error of the client as a whole. detail: librdkafka's words, with hosts. */
    void (*on_error)(void *context, const struct kafka_error *error, const char *detail);
    void *context;
};

struct kafka_consumer_options {
    struct kafka_settings settings;
    int member; /* its number among the process's members of the group */
    const struct kafka_member_calls *calls; /* copied; NULL: no member */
    bool skips_gaps; /* an offset that the log has lost is read from the first that it has;
                        else it is KAFKA_ERROR_NO_OFFSET */
};

/* No network yet. NULL: err names the property that is wrong. */
struct kafka_consumer *kafka_consumer_open(const struct kafka_consumer_options *options,
                                           struct err *err);
/* Leaves the group, within five seconds; on_rebalance is called for what the member still has. */
void kafka_consumer_leave(struct kafka_consumer *consumer);
/* All messages must have been released. One that has not left in time ends on a thread of its own.
 * NULL: nothing. */
void kafka_consumer_destroy(struct kafka_consumer *consumer);
/* Takes the login that the configuration has now, if it is another one. after_refusal: a broker has
 * just refused the last. */
void kafka_consumer_renew_login(struct kafka_consumer *consumer, bool after_refusal);
/* Whether the client has failed for good, whether it said so or not: KAFKA_ERROR_FENCED or
 * KAFKA_ERROR_FATAL. */
struct kafka_error kafka_consumer_fatal(const struct kafka_consumer *consumer);

/* ---- taking -------------------------------------------------------------------------------- */

struct kafka_message {
    struct kafka_error error; /* kind KAFKA_ERROR_NONE: a record */
    const char *detail;       /* of an error: librdkafka's words */
    const char *topic;        /* NULL: an error of the whole client */
    int32_t partition;
    int64_t offset;
    int64_t time_us; /* the broker's or the producer's, since 1970, until the year 9999; 0: none */
    struct slice value; /* data NULL: none */
    void *owner;        /* keeps all that is borrowed; for kafka_message_release */
};

/* True: *message is the caller's to release. False: none came within timeout_ms. */
bool kafka_consumer_next(struct kafka_consumer *consumer, int timeout_ms,
                         struct kafka_message *message);
/* The record's header, the last of that name; data NULL: none. Borrowed from the message. */
struct slice kafka_message_header(const struct kafka_message *message, const char *name);
/* owner: of a message. */
void kafka_message_release(void *owner);
/* Of a member: an eventfd(2) that becomes readable when messages come where none were. */
int kafka_consumer_event_fd(const struct kafka_consumer *consumer);

/* ---- the group ----------------------------------------------------------------------------- */

/* Follows these topics and no others. */
bool kafka_consumer_subscribe(struct kafka_consumer *consumer, const char *const *topics,
                              size_t count, struct err *err);
/* Fetches these partitions, from their offsets, and no others. count 0: fetches nothing. */
bool kafka_consumer_fetch(struct kafka_consumer *consumer, const struct kafka_place *places,
                          size_t count, struct err *err);
bool kafka_consumer_is_cooperative(const struct kafka_consumer *consumer);
/* How long a member may wait for the others at a rebalance. */
int64_t kafka_consumer_rebalance_limit_us(const struct kafka_consumer *consumer);
/* Begins to tell Kafka the group's offsets; false: it could not. One at a time. */
bool kafka_consumer_report(struct kafka_consumer *consumer, const struct kafka_place *places,
                           size_t count);
/* False: no answer to the report within timeout_ms. Each place of the answer is given to on_place;
 * *refusal is the first error in it. */
bool kafka_consumer_report_answer(struct kafka_consumer *consumer, int timeout_ms,
                                  void (*on_place)(void *context, const struct kafka_place *place),
                                  void *context, struct kafka_error *refusal);

/* ---- questions to the cluster --------------------------------------------------------------- */

/* Sets each place's offset, or its error. bound: KAFKA_LOG_BEGIN or KAFKA_LOG_END. */
void kafka_consumer_ask(struct kafka_consumer *consumer, struct kafka_place *places, size_t count,
                        int64_t bound, int timeout_ms);
/* Sets each place's offset to that of its first record since the broker time (Unix); negative where
 * there is none. */
bool kafka_consumer_offsets_at(struct kafka_consumer *consumer, struct kafka_place *places,
                               size_t count, int64_t time_ms, struct err *err);
/* The first offset that the log has of a partition, and the one behind its last. */
bool kafka_consumer_bounds(struct kafka_consumer *consumer, const char *topic, int32_t partition,
                           int64_t bounds[2], struct err *err);
/* The same as the client last heard it while fetching. False: it has not. */
bool kafka_consumer_heard_bounds(const struct kafka_consumer *consumer, const char *topic,
                                 int32_t partition, int64_t bounds[2]);
/* Stops fetching a partition for a while, or goes on. */
bool kafka_consumer_set_paused(struct kafka_consumer *consumer, const char *topic,
                               int32_t partition, bool paused, struct err *err);
/* Calls on_partition for each partition of each topic that the cluster lets be read. */
bool kafka_consumer_list(struct kafka_consumer *consumer,
                         void (*on_partition)(void *context, const char *topic, int32_t partition),
                         void *context, struct err *err);
enum kafka_access { KAFKA_ACCESS_UNKNOWN, KAFKA_ACCESS_GIVEN, KAFKA_ACCESS_REFUSED };
/* Whether the login may read the topic; unknown where no broker answers in time. */
enum kafka_access kafka_consumer_topic_access(struct kafka_consumer *consumer, const char *topic,
                                              int timeout_ms);
struct kafka_broker {
    int32_t id;
    char address[264]; /* host:port */
};
/* The cluster's brokers, to be freed; NULL: no answer in time. */
struct kafka_broker *kafka_consumer_brokers(struct kafka_consumer *consumer, int timeout_ms,
                                            size_t *count);

#endif

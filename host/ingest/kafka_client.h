/* kafka_client: a Kafka consumer as the configuration describes it, with librdkafka's messages in
 * the log. What is done with it (a group's member, a reader of the whole log) is the caller's. */
#ifndef AGG_HOST_INGEST_KAFKA_CLIENT_H
#define AGG_HOST_INGEST_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "../config/config.h"
#include "../pipeline/pipeline.h"

/* How long a question to the brokers may take. */
#define KAFKA_CLIENT_ASK_TIMEOUT_MS 15000

/* The option that makes a static member of a consumer. */
#define KAFKA_CLIENT_INSTANCE "group.instance.id"
/* A consumer that is no member of the group. */
#define KAFKA_CLIENT_NO_MEMBER (-1)

/* The properties of every consumer, with the configuration's own on top. `member`: the number of
 * the worker whose it is, which is added to the group.instance.id, if one is configured (ID-0,
 * ID-1), or KAFKA_CLIENT_NO_MEMBER. NULL: err names the property. The caller destroys it, unless it
 * gives it to kafka_client_consumer. */
rd_kafka_conf_t *kafka_client_conf(const struct config *config, int member, struct err *err);
bool kafka_client_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err);
/* No network yet. Takes conf in any case; its events come by rd_kafka_consumer_poll. */
rd_kafka_t *kafka_client_consumer(rd_kafka_conf_t *conf, struct err *err);

/* Whether the group's assignor takes and gives single partitions, rather than all at each
 * rebalance.
 */
bool kafka_client_is_cooperative(rd_kafka_t *kafka);
/* Has the client fetch these partitions, from the offsets in the list, and no others; whatever the
 * assignor. */
bool kafka_client_fetch(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions,
                        struct err *err);
bool kafka_client_fetch_nothing(rd_kafka_t *kafka, struct err *err);
/* Answers a rebalance callback: nothing is fetched, and the group goes on. `come`: partitions were
 * assigned, not revoked. */
bool kafka_client_rebalance_done(rd_kafka_t *kafka, bool come, struct err *err);

/* Sets each partition's offset to that of its first record since the broker time (Unix); negative
 * where there is none. */
bool kafka_client_offsets_at(rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *list,
                             int64_t time_ms, struct err *err);

/* Sets each partition's offset to its bound: RD_KAFKA_OFFSET_BEGINNING, the first that it has, or
 * RD_KAFKA_OFFSET_END, the one behind its last. Where it could not be had the element's err says
 * why. */
void kafka_client_ask(rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *list, int64_t bound,
                      int timeout_ms);

/* Counts what was taken from the client's queue since it was last: true where it is time for: */
bool kafka_client_refill_is_due(size_t *taken_bytes, const rd_kafka_message_t *record);
/* Has the brokers' threads look at the queue. A full one they look at again only a second later
 * (librdkafka 2.0), unless they have something else to do meanwhile: so they are asked for where
 * the partitions end, and nobody waits for the answer. Without it the queue would have to hold more
 * than a second's work, or the worker would starve. */
void kafka_client_refill(rd_kafka_t *kafka, const rd_kafka_topic_partition_list_t *partitions);

/* When the broker or the producer stored the record, in microseconds since 1970; 0: it has no time.
 * A producer may send any number (nanoseconds, say): what is beyond the year 9999 becomes its end,
 * so that what computes with it cannot overflow. */
int64_t kafka_client_time_us(const rd_kafka_message_t *record);
/* The record as a pipeline's message of that partition; it owns the record from now on. */
struct message kafka_client_message(rd_kafka_message_t *record, size_t partition);
/* A pipeline's release function for such messages. */
void kafka_client_release(void *record);

#endif

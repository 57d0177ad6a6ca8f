/* kafka_ask: a consumer's queries to the cluster: offsets, topics, brokers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "kafka_consumer_private.h"

/* ---- offsets ------------------------------------------------------------------------------- */

void kafka_consumer_ask(struct kafka_consumer *consumer, struct kafka_place *places, size_t count,
                        int64_t when, int timeout_ms) {
    rd_kafka_topic_partition_list_t *list = kafka_places_list(places, count);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = when;
    }
    struct kafka_error error =
        kafka_error_of(rd_kafka_offsets_for_times(consumer->client, list, timeout_ms));
    for (size_t i = 0; i < count; i++) { /* the list keeps its order */
        places[i].offset = list->elems[i].offset;
        places[i].error = list->elems[i].err ? kafka_error_of(list->elems[i].err) : error;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static bool kafka_ask_has_name(const struct kafka_error *error, rd_kafka_resp_err_t code) {
    return strcmp(error->name, rd_kafka_err2name(code)) == 0;
}

/* By the broker's reply, or by the metadata that the client has of it. */
static bool kafka_ask_is_missing(const struct kafka_error *error) {
    return error->kind == KAFKA_ERROR_NO_TOPIC ||
           kafka_ask_has_name(error, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) ||
           kafka_ask_has_name(error, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
}

/* What is missing is no outage: Kafka has replied. */
static bool kafka_ask_fail(const struct kafka_place *place, struct err *err) {
    return kafka_ask_is_missing(&place->error)
               ? err_set(err, ERR_INPUT,
                         "%s/%d is not in Kafka: the topic was deleted, or made again with fewer "
                         "partitions",
                         place->topic, place->partition)
               : err_set(err, ERR_UNAVAILABLE,
                         "cannot look up the offsets of the time in Kafka: %s",
                         place->error.reason);
}

bool kafka_consumer_offsets_at(struct kafka_consumer *consumer, struct kafka_place *places,
                               size_t count, int64_t time_ms, struct err *err) {
    kafka_consumer_ask(consumer, places, count, time_ms, KAFKA_ASK_TIMEOUT_MS);
    for (size_t i = 0; i < count; i++) {
        if (places[i].error.kind != KAFKA_ERROR_NONE) {
            return kafka_ask_fail(&places[i], err);
        }
    }
    return true;
}

bool kafka_consumer_bounds(struct kafka_consumer *consumer, const char *topic, int32_t partition,
                           int64_t bounds[2], struct err *err) {
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        consumer->client, topic, partition, &bounds[0], &bounds[1], KAFKA_ASK_TIMEOUT_MS);
    return !code ||
           err_set(err, ERR_UNAVAILABLE, "cannot query the offsets of %s [%d] in Kafka: %s", topic,
                   partition, rd_kafka_err2str(code));
}

bool kafka_consumer_cached_bounds(const struct kafka_consumer *consumer, const char *topic,
                                  int32_t partition, int64_t bounds[2]) {
    return rd_kafka_get_watermark_offsets(consumer->client, topic, partition, &bounds[0],
                                          &bounds[1]) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           bounds[1] >= 0;
}

/* ---- topics and brokers --------------------------------------------------------------------- */

bool kafka_consumer_list(struct kafka_consumer *consumer,
                         void (*on_partition)(void *context, const char *topic, int32_t partition),
                         void *context, struct err *err) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(consumer->client, 1, NULL, &metadata, KAFKA_ASK_TIMEOUT_MS);
    if (code) {
        return err_set(err, ERR_UNAVAILABLE, "cannot list the topics of Kafka: %s",
                       rd_kafka_err2str(code));
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        for (int p = 0; !topic->err && p < topic->partition_cnt; p++) {
            on_partition(context, topic->topic, topic->partitions[p].id);
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return true;
}

enum kafka_access kafka_consumer_topic_access(struct kafka_consumer *consumer, const char *name,
                                              int timeout_ms) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer->client, name, NULL);
    if (!topic) {
        return KAFKA_ACCESS_UNKNOWN;
    }
    rd_kafka_resp_err_t code = rd_kafka_metadata(consumer->client, 0, topic, &metadata, timeout_ms);
    if (!code) {
        code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        return KAFKA_ACCESS_REFUSED;
    }
    return code < 0 ? KAFKA_ACCESS_UNKNOWN : KAFKA_ACCESS_GIVEN; /* < 0: an error of the client */
}

struct kafka_broker *kafka_consumer_brokers(struct kafka_consumer *consumer, int timeout_ms,
                                            size_t *count) {
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(consumer->client, 0, NULL, &metadata, timeout_ms) != 0) {
        return NULL;
    }
    *count = (size_t)metadata->broker_cnt;
    struct kafka_broker *brokers = xcalloc(*count + 1, sizeof *brokers);
    for (size_t i = 0; i < *count; i++) {
        const struct rd_kafka_metadata_broker *from = &metadata->brokers[i];
        brokers[i].id = from->id;
        snprintf(brokers[i].address, sizeof brokers[i].address, "%s:%d", from->host, from->port);
    }
    rd_kafka_metadata_destroy(metadata);
    return brokers;
}

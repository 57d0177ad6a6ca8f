/* broker: librdkafka's mock cluster of one broker in this process, with one topic of one partition.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "config/config.h"
#include "test.h"

#define BROKER_TOPIC "records"
#define BROKER_TIMEOUT_MS 10000

struct broker {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
};

static inline void broker_open(struct broker *broker) {
    char text[256];
    *broker = (struct broker){0};
    broker->producer = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    broker->cluster = rd_kafka_mock_cluster_new(broker->producer, 1);
    rd_kafka_mock_topic_create(broker->cluster, BROKER_TOPIC, 1, 1);
}

/* The same, and points the configuration at it. */
static inline void broker_start(struct broker *broker, struct config *config) {
    broker_open(broker);
    config->kafka.brokers = (char *)rd_kafka_mock_cluster_bootstraps(broker->cluster);
    config->kafka.client_id = config->kafka.group = (char *)"spec";
    config->kafka.session_timeout_ms = 6000;
    rd_kafka_brokers_add(broker->producer, config->kafka.brokers);
}

static inline void broker_stop(struct broker *broker) {
    rd_kafka_mock_cluster_destroy(broker->cluster);
    rd_kafka_destroy(broker->producer);
}

/* A record with this time of its producer's; the broker has it. */
static inline void broker_publish(struct broker *broker, int64_t time_ms) {
    CHECK_INT(rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC(BROKER_TOPIC),
                                RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_TIMESTAMP(time_ms),
                                RD_KAFKA_V_VALUE((void *)"{}", 2), RD_KAFKA_V_END),
              0);
    CHECK_INT(rd_kafka_flush(broker->producer, BROKER_TIMEOUT_MS), 0);
}

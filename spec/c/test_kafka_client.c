/* What a record is to the program, whatever its producer has written into it. The broker is
 * librdkafka's mock cluster, in this process. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "../../host/base/timestamp.h"
#include "../../host/ingest/kafka_client.h"
#include "test.h"

#define TOPIC "records"
#define TIMEOUT_MS 10000

struct broker {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    struct config config;
};

static void start_broker(struct broker *broker) {
    char text[256];
    *broker = (struct broker){0};
    rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    broker->cluster = rd_kafka_mock_cluster_new(owner, 1);
    broker->producer = owner;
    rd_kafka_mock_topic_create(broker->cluster, TOPIC, 1, 1);
    broker->config.kafka.brokers = (char *)rd_kafka_mock_cluster_bootstraps(broker->cluster);
    broker->config.kafka.client_id = broker->config.kafka.group = "spec";
    broker->config.kafka.session_timeout_ms = 6000;
    rd_kafka_brokers_add(owner, broker->config.kafka.brokers);
}

static void stop_broker(struct broker *broker) {
    rd_kafka_mock_cluster_destroy(broker->cluster);
    rd_kafka_destroy(broker->producer);
}

static void publish(struct broker *broker, int64_t time_ms) {
    CHECK_INT(rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_VALUE((void *)"{}", 2),
                                RD_KAFKA_V_END),
              0);
    CHECK_INT(rd_kafka_flush(broker->producer, TIMEOUT_MS), 0);
}

static rd_kafka_t *follow(struct broker *broker) {
    struct err err = {0};
    rd_kafka_conf_t *conf = kafka_client_conf(&broker->config, KAFKA_CLIENT_NO_MEMBER, &err);
    rd_kafka_t *client = conf ? kafka_client_consumer(conf, &err) : NULL;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0)->offset = 0;
    CHECK_TEXT(err.text, "");
    CHECK_INT(rd_kafka_assign(client, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}

static int64_t next_time_us(rd_kafka_t *client) {
    int64_t deadline_us = clock_monotonic_us() + TIMEOUT_MS * 1000LL;
    while (clock_monotonic_us() < deadline_us) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(client, 100);
        if (record && !record->err) {
            struct message message = kafka_client_message(record, 0);
            kafka_client_release(message.owner);
            return message.broker_time_us;
        }
        if (record) {
            rd_kafka_message_destroy(record);
        }
    }
    TEST_FAIL("no record came");
    return -1;
}

static void wild_record_times_end_with_the_year_9999(void) {
    static const struct {
        int64_t time_ms, time_us;
    } table[] = {
        {1764938400123, 1764938400123000},        /* as it should be */
        {1764938400123456789, TIMESTAMP_LAST_US}, /* nanoseconds */
        {1764938400123456, TIMESTAMP_LAST_US},    /* microseconds */
        {INT64_MAX, TIMESTAMP_LAST_US},
        {253402300799999, TIMESTAMP_LAST_US - 999}, /* the last millisecond */
        {253402300800000, TIMESTAMP_LAST_US},
        {-1764938400123, 0},
        {INT64_MIN, 0},
    };
    enum { COUNT = sizeof table / sizeof *table };
    struct broker broker;
    start_broker(&broker);
    for (size_t i = 0; i < COUNT; i++) {
        publish(&broker, table[i].time_ms);
    }
    rd_kafka_t *client = follow(&broker);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_INT(next_time_us(client), table[i].time_us);
    }
    rd_kafka_destroy(client);
    stop_broker(&broker);
}

static const struct test_case cases[] = {
    {"wild record times end with the year 9999", wild_record_times_end_with_the_year_9999},
};

TEST_MAIN(cases)

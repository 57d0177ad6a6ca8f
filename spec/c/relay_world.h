/* relay_world: a Kafka and a database of the test, and relays between them. Kafka is librdkafka's
 * mock cluster, in this process. Needs PG_TEST_URL. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/log.h"
#include "outbox/relay.h"
#include "outbox_tables.h"

#define BROKER 1 /* the one of the cluster */
#define RECORDS_MAX 8192

#define TOPICS 2
#define PARTITIONS 2 /* of each */
static const char *const topics[TOPICS] = {"news", "other"};

static struct {
    rd_kafka_t *client, *consumer;
    rd_kafka_mock_cluster_t *cluster;
    struct config config;
    const char *database;
    struct pg *pg;
    struct outbox_relay *relays[2];
    char *records[RECORDS_MAX]; /* "topic key value" of each that the consumer has read */
    size_t count;
} world;
static struct err err;

static inline void follow_topics(void) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", world.config.kafka.brokers, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "spec", text, sizeof text);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    world.consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(TOPICS * PARTITIONS);
    for (int i = 0; i < TOPICS * PARTITIONS; i++) {
        rd_kafka_topic_partition_list_add(from, topics[i / PARTITIONS], i % PARTITIONS)->offset = 0;
    }
    rd_kafka_assign(world.consumer, from);
    rd_kafka_topic_partition_list_destroy(from);
}

static inline void world_begin(const char *database) {
    char text[256];
    memset(&world, 0, sizeof world);
    log_configure(LOG_ERROR, false);
    log_mute(true);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    world.client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    world.cluster = rd_kafka_mock_cluster_new(world.client, 1);
    for (int i = 0; i < TOPICS; i++) {
        rd_kafka_mock_topic_create(world.cluster, topics[i], PARTITIONS, 1);
    }
    world.config.kafka.brokers = (char *)rd_kafka_mock_cluster_bootstraps(world.cluster);
    world.config.kafka.client_id = "spec";
    world.database = database;
    world.config.postgres.url = strdup(test_database_url(database));
    world.config.outbox.enabled = 1;
    world.config.outbox.horizon_hours = 24;
    world.config.outbox.keep_rows = 1000;
    world.pg = outbox_database_make(database);
    follow_topics();
}

static inline void start_relay(int i) {
    err_clear(&err);
    world.relays[i] = outbox_relay_start(&world.config, &err);
    CHECK_OK(world.relays[i] != NULL, &err);
    outbox_relay_release(world.relays[i]);
}

static inline void stop_relay(int i) {
    outbox_relay_stop(world.relays[i]);
    world.relays[i] = NULL;
}

static inline void world_end(void) {
    stop_relay(0);
    stop_relay(1);
    rd_kafka_consumer_close(world.consumer);
    rd_kafka_destroy(world.consumer);
    rd_kafka_mock_cluster_destroy(world.cluster);
    rd_kafka_destroy(world.client);
    outbox_database_drop(world.pg, world.database);
    free(world.config.postgres.url);
    for (size_t i = 0; i < world.count; i++) {
        free(world.records[i]);
    }
    log_mute(false);
}

/* Numbers first to last, over five keys, as messages of the topic. */
static inline void store(const char *topic, int first, int last) {
    char sql[512];
    snprintf(sql, sizeof sql,
             "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, "
             "scripts) "
             "SELECT '%s' || n, '%s', 'k' || n %% 5, convert_to(n::text, 'UTF8'), now(), 's', 'h' "
             "FROM generate_series(%d, %d) AS n ORDER BY n",
             topic, topic, first, last);
    outbox_script(world.pg, sql);
}

/* Reads what has come; true once there are `wanted` records. */
static inline bool has_read(size_t wanted) {
    rd_kafka_message_t *message;
    while (world.count < RECORDS_MAX && (message = rd_kafka_consumer_poll(world.consumer, 10))) {
        if (!message->err &&
            asprintf(&world.records[world.count], "%s %.*s %.*s", rd_kafka_topic_name(message->rkt),
                     (int)message->key_len, (const char *)message->key, (int)message->len,
                     (const char *)message->payload) > 0) {
            world.count++;
        }
        rd_kafka_message_destroy(message);
    }
    return world.count >= wanted;
}

static inline bool all_done(const char *states) {
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM aggregator_state.outbox WHERE state NOT IN (%s)", states);
    return strcmp(outbox_ask(world.pg, sql), "0") == 0;
}

/* Records of all topics, whether they were read or not. */
static inline int64_t broker_count(void) {
    int64_t count = 0;
    for (int i = 0; i < TOPICS * PARTITIONS; i++) {
        int64_t first = 0, end = 0;
        CHECK_INT(rd_kafka_query_watermark_offsets(world.consumer, topics[i / PARTITIONS],
                                                   i % PARTITIONS, &first, &end, 10000),
                  0);
        count += end - first;
    }
    return count;
}

/* All of 1 … count once, each key's in order, and nothing else. */
static inline void check_each_once_in_order(size_t count) {
    int last[6] = {0};
    CHECK_INT(broker_count(), count);
    WAIT_UNTIL(has_read(count));
    CHECK_INT(world.count, count);
    for (size_t i = 0; i < world.count; i++) {
        int key, number;
        if (sscanf(world.records[i], "%*s k%d %d", &key, &number) != 2 || number <= last[key]) {
            TEST_FAIL("record %zu is \"%s\" behind %d", i, world.records[i], last[key]);
            return;
        }
        last[key] = number;
    }
}

/* Whether the relay's report has that part. */
static inline bool reports(int relay, const char *part) {
    struct buffer report = {0};
    outbox_relay_report(world.relays[relay], &report);
    bool found = strstr(report.data, part) != NULL;
    buffer_free(&report);
    return found;
}

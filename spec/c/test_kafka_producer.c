/* The producer of the process: late and missing delivery reports, threads, shutdown. The broker is
 * librdkafka's mock cluster, in this process. */
#include <pthread.h>

#include "bindings/kafka_producer.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker.h"

#define TIMEOUT_MS 2000
#define THREADS 8

static struct kafka_producer *acquire(const struct kafka_settings *settings) {
    struct err err = {0};
    struct kafka_producer *producer = kafka_producer_acquire(settings, TIMEOUT_MS, &err);
    CHECK_TEXT(err.text, "");
    return producer;
}

static struct kafka_producer *acquire_at(const struct broker *broker) {
    struct kafka_settings settings = {.brokers = rd_kafka_mock_cluster_bootstraps(broker->cluster),
                                      .client_id = "spec"};
    return acquire(&settings);
}

static struct kafka_record record(const char *value) {
    return (struct kafka_record){
        .topic = "records", .key = slice_of("key"), .value = slice_of(value)};
}

static struct kafka_delivery produce(struct kafka_producer *producer, int timeout_ms) {
    struct kafka_record one = record("x");
    struct kafka_send *send = kafka_send_create(1);
    kafka_send_add(send, producer, &one);
    kafka_send_wait(send, timeout_ms);
    struct kafka_delivery delivery = kafka_send_delivery(send, 0);
    kafka_send_unref(send);
    return delivery;
}

static void delivers(void) {
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    struct kafka_delivery first = produce(producer, 10000), second = produce(producer, 10000);
    CHECK_INT(first.kind, ERR_NONE);
    CHECK_INT(second.kind, ERR_NONE);
    CHECK_INT(second.offset, first.offset + 1);
    kafka_producer_release(producer);
    broker_stop(&broker);
}

/* librdkafka asks for a new topic once a second: so many take longer than the bound. */
static void new_topics_take_no_second(void) {
    enum { COUNT = 20, BOUND_S = 10 };
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    CHECK_INT(produce(producer, 10000).kind, ERR_NONE); /* it is connected */
    int64_t started_us = clock_monotonic_us();
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "topic%d", i);
        rd_kafka_mock_topic_create(broker.cluster, name, 1, 1);
        struct kafka_record one = record("x");
        one.topic = name;
        struct kafka_send *send = kafka_send_create(1);
        kafka_send_add(send, producer, &one);
        kafka_send_wait(send, 10000);
        CHECK_INT(kafka_send_delivery(send, 0).kind, ERR_NONE);
        kafka_send_unref(send);
    }
    CHECK(clock_monotonic_us() - started_us < BOUND_S * 1000000);
    kafka_producer_release(producer);
    broker_stop(&broker);
}

/* Reads the one record back as a consumer. */
static void carries_everything(void) {
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    struct kafka_header headers[] = {{"name", {"a\0b", 3}}, {"empty", {"", 0}}};
    struct kafka_record records[] = {
        {"records", {"k\0", 2}, {"v\0w", 3}, headers, 2},
        {"records", {0}, {0}, NULL, 0},
        {"records", {"", 0}, {"", 0}, NULL, 0},
    };
    struct kafka_send *send = kafka_send_create(3);
    for (int i = 0; i < 3; i++) {
        kafka_send_add(send, producer, &records[i]);
    }
    kafka_send_wait(send, 10000);
    CHECK_INT(kafka_send_delivery(send, 2).kind, ERR_NONE);
    kafka_send_unref(send);
    kafka_producer_release(producer);

    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(broker.cluster),
                      text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "spec", text, sizeof text);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(from, "records", 0)->offset = 0;
    rd_kafka_assign(consumer, from);
    rd_kafka_topic_partition_list_destroy(from);
    rd_kafka_message_t *got[3];
    for (int i = 0; i < 3; i++) {
        got[i] = rd_kafka_consumer_poll(consumer, 10000);
        CHECK(got[i] && !got[i]->err);
    }
    rd_kafka_headers_t *read = NULL;
    const void *value;
    size_t size;
    CHECK(got[0]->key_len == 2 && memcmp(got[0]->key, "k\0", 2) == 0);
    CHECK(got[0]->len == 3 && memcmp(got[0]->payload, "v\0w", 3) == 0);
    CHECK(rd_kafka_message_headers(got[0], &read) == 0);
    CHECK(rd_kafka_header_get_last(read, "name", &value, &size) == 0 && size == 3 &&
          memcmp(value, "a\0b", 3) == 0);
    CHECK(rd_kafka_header_get_last(read, "empty", &value, &size) == 0 && size == 0);
    CHECK(got[1]->key == NULL && got[1]->payload == NULL);
    CHECK(got[2]->key != NULL && got[2]->payload != NULL && got[2]->len == 0);
    for (int i = 0; i < 3; i++) {
        rd_kafka_message_destroy(got[i]);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    broker_stop(&broker);
}

static void late_report(void) {
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    CHECK_INT(produce(producer, 10000).kind, ERR_NONE);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 500);
    struct kafka_delivery delivery = produce(producer, 50);
    CHECK_INT(delivery.kind, ERR_TIMEOUT);
    CHECK_TEXT(delivery.reason, "no delivery report in time; the record may still be delivered");
    /* It was: the report has found its place though the sender was gone. */
    struct kafka_delivery next = produce(producer, 10000);
    CHECK_INT(next.offset, 2);
    kafka_producer_release(producer);
    broker_stop(&broker);
}

static void no_broker(void) {
    struct kafka_settings settings = {.brokers = "127.0.0.1:1", .client_id = "spec"};
    struct kafka_producer *producer = acquire(&settings);
    CHECK_INT(produce(producer, 100).kind, ERR_TIMEOUT);
    struct kafka_delivery delivery = produce(producer, 10000);
    CHECK_INT(delivery.kind, ERR_UNAVAILABLE); /* given up unsent: known not to be there */
    CHECK_TEXT(delivery.reason, "Local: Message timed out");
    produce(producer, 1);
    kafka_producer_release(producer); /* with a record under way */
}

static void refused(void) {
    enum { API_PRODUCE = 0 };
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    rd_kafka_mock_push_request_errors(broker.cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    struct kafka_delivery delivery = produce(producer, 10000);
    CHECK_INT(delivery.kind, ERR_INPUT);
    CHECK_TEXT(delivery.reason, "Broker: Topic authorization failed");
    kafka_producer_release(producer);
    broker_stop(&broker);
}

static void fatal(void) {
    enum { API_PRODUCE = 0 };
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *producer = acquire_at(&broker);
    CHECK_INT(produce(producer, 10000).kind, ERR_NONE);
    rd_kafka_mock_push_request_errors(broker.cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK(produce(producer, 10000).kind != ERR_NONE);
    WAIT_UNTIL(kafka_producer_broken(producer));
    struct kafka_producer *other = acquire_at(&broker);
    CHECK(other != producer);
    kafka_producer_release(producer);
    CHECK_INT(produce(other, 10000).kind, ERR_NONE);
    kafka_producer_release(other);
    broker_stop(&broker);
}

static void bad_property(void) {
    char *names[] = {"no.such"}, *values[] = {"x"};
    struct kafka_settings settings = {.brokers = "127.0.0.1:1",
                                      .client_id = "spec",
                                      .option_names = names,
                                      .option_values = values,
                                      .option_count = 1};
    struct err err = {0};
    CHECK(kafka_producer_acquire(&settings, TIMEOUT_MS, &err) == NULL);
    CHECK(strstr(err.text, "kafka property no.such") != NULL);
}

static void *produce_many(void *context) {
    const struct broker *broker = context;
    size_t failed = 0;
    for (int round = 0; round < 3; round++) {
        struct kafka_producer *producer = acquire_at(broker);
        struct kafka_send *send = kafka_send_create(100);
        struct kafka_record one = record("x");
        for (int i = 0; i < 100; i++) {
            kafka_send_add(send, producer, &one);
        }
        kafka_send_wait(send, round == 1 ? 0 : 10000); /* every second one without a wait */
        for (int i = 0; i < 100 && round != 1; i++) {
            failed += kafka_send_delivery(send, (size_t)i).kind != ERR_NONE;
        }
        kafka_send_unref(send);
        kafka_producer_release(producer);
    }
    return (void *)failed;
}

static void threads(void) {
    struct broker broker;
    broker_open(&broker);
    pthread_t started[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&started[i], NULL, produce_many, &broker) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(started[i], &failed);
        CHECK_INT((size_t)failed, 0);
    }
    broker_stop(&broker);
}

static void one_producer(void) {
    struct broker broker;
    broker_open(&broker);
    struct kafka_producer *a = acquire_at(&broker), *b = acquire_at(&broker);
    CHECK(a == b);
    kafka_producer_release(a);
    CHECK_INT(produce(b, 10000).kind, ERR_NONE);
    kafka_producer_release(b);
    broker_stop(&broker);
}

static const struct test_case cases[] = {
    {"reports where each record stands", delivers},
    {"sends the first records of topics at once", new_topics_take_no_second},
    {"carries keys, values and headers byte for byte, and none as none", carries_everything},
    {"accepts a report after the sender has ended", late_report},
    {"times out without a broker", no_broker},
    {"tells a refusal from an outage", refused},
    {"names a property that librdkafka does not know", bad_property},
    {"is replaced after a fatal error", fatal},
    {"is shared by all holders", one_producer},
    {"serves threads that come and go, waiting or not", threads},
};

int main(int argc, char **argv) {
    log_configure(LOG_ERROR, true);
    return test_run(cases, sizeof cases / sizeof *cases, argc, argv);
}

/* Records with any content become valid input of the program. The broker is librdkafka's mock
 * cluster, in this process. */
#include "base/timestamp.h"
#include "base/traceparent.h"
#include "config/config.h"
#include "pipeline/batch.h"
#include "bindings/kafka_consumer_private.h"
#include "broker.h"

static struct config config;

/* member < 0: no member of the group. */
static struct kafka_consumer *open_client(int member) {
    static const struct kafka_member_calls calls;
    struct kafka_consumer_options options = {.settings = config_kafka_settings(&config),
                                             .member = member,
                                             .calls = member < 0 ? NULL : &calls};
    struct err err = {0};
    struct kafka_consumer *client = kafka_consumer_open(&options, &err);
    CHECK_TEXT(err.text, "");
    return client;
}

static struct kafka_consumer *follow(void) {
    struct err err = {0};
    struct kafka_consumer *client = open_client(-1);
    CHECK(kafka_consumer_fetch(client, &(struct kafka_place){.topic = BROKER_TOPIC}, 1, &err));
    return client;
}

/* To be released. */
static struct log_record next_message(struct kafka_consumer *client) {
    int64_t deadline_us = clock_monotonic_us() + BROKER_TIMEOUT_MS * 1000LL;
    while (clock_monotonic_us() < deadline_us) {
        struct kafka_message record;
        if (!kafka_consumer_next(client, 100, &record)) {
            continue;
        }
        if (record.error.kind == KAFKA_ERROR_NONE) {
            return log_record_of_kafka(&record, 0);
        }
        kafka_message_release(record.owner);
    }
    TEST_FAIL("no record came");
    exit(1); /* no case can continue */
}

static int64_t next_time_us(struct kafka_consumer *client) {
    struct log_record message = next_message(client);
    kafka_message_release(message.owner);
    return message.broker_time_us;
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
    broker_start(&broker, &config);
    for (size_t i = 0; i < COUNT; i++) {
        broker_publish(&broker, table[i].time_ms);
    }
    struct kafka_consumer *client = follow();
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_INT(next_time_us(client), table[i].time_us);
    }
    kafka_consumer_destroy(client);
    broker_stop(&broker);
}

/* A record with a header of this value, or with none. */
static void publish_traced(const struct broker *broker, const char *traceparent) {
    rd_kafka_headers_t *headers = traceparent ? rd_kafka_headers_new(2) : NULL;
    if (headers) {
        rd_kafka_header_add(headers, "other", -1, "x", 1);
        rd_kafka_header_add(headers, "traceparent", -1, traceparent, -1);
    }
    CHECK_INT(headers ? rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC(BROKER_TOPIC),
                                          RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_HEADERS(headers),
                                          RD_KAFKA_V_VALUE((void *)"{}", 2), RD_KAFKA_V_END)
                      : rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC(BROKER_TOPIC),
                                          RD_KAFKA_V_PARTITION(0),
                                          RD_KAFKA_V_VALUE((void *)"{}", 2), RD_KAFKA_V_END),
              0);
    CHECK_INT(rd_kafka_flush(broker->producer, BROKER_TIMEOUT_MS), 0);
}

#define TRACEPARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void a_record_has_the_trace_of_a_valid_header(void) {
    static const char *const table[][2] = {
        {TRACEPARENT, TRACEPARENT}, {NULL, ""}, {"00-nonsense-01", ""}, {"", ""}};
    enum { COUNT = sizeof table / sizeof *table };
    struct broker broker;
    broker_start(&broker, &config);
    for (size_t i = 0; i < COUNT; i++) {
        publish_traced(&broker, table[i][0]);
    }
    struct kafka_consumer *client = follow();
    for (size_t i = 0; i < COUNT; i++) {
        char text[TRACEPARENT_LEN + 1] = "";
        struct log_record message = next_message(client);
        traceparent_format(message.traceparent, text);
        CHECK_TEXT(text, table[i][1]);
        kafka_message_release(message.owner);
    }
    kafka_consumer_destroy(client);
    broker_stop(&broker);
}

/* The client's property, of the worker with this number. */
static void check_instance(int member, const char *want) {
    char value[64] = "";
    size_t size = sizeof value;
    struct kafka_consumer *client = open_client(member);
    (void)rd_kafka_conf_get(rd_kafka_conf(client->client), "group.instance.id", value,
                            &size); /* one that is not set: fails */
    CHECK_TEXT(value, want);
    kafka_consumer_destroy(client);
}

static void every_worker_has_a_group_instance_id_of_its_own(void) {
    char *names[] = {(char *)"group.instance.id"}, *values[] = {(char *)"here"};
    struct broker broker;
    broker_start(&broker, &config);
    config.kafka.options = (struct config_pairs){names, values, 1};
    check_instance(0, "here-0");
    check_instance(12, "here-12");
    check_instance(-1, ""); /* else it would fence one */
    config.kafka.options = (struct config_pairs){0};
    broker_stop(&broker);
}

static void a_partition_that_kafka_lacks_is_no_outage(void) {
    struct broker broker;
    struct err err = {0};
    struct kafka_place place = {.topic = BROKER_TOPIC, .partition = 7};
    broker_start(&broker, &config);
    struct kafka_consumer *client = open_client(-1);
    CHECK(!kafka_consumer_offsets_at(client, &place, 1, 1764938400123, &err));
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, BROKER_TOPIC "/7 is not in Kafka: the topic was deleted, or made again");
    kafka_consumer_destroy(client);
    broker_stop(&broker);
}

static const struct test_case cases[] = {
    {"a partition that Kafka lacks is no outage", a_partition_that_kafka_lacks_is_no_outage},
    {"a record has the trace of a valid header", a_record_has_the_trace_of_a_valid_header},
    {"every worker has a group.instance.id of its own, and a reader none",
     every_worker_has_a_group_instance_id_of_its_own},
    {"wild record times end with the year 9999", wild_record_times_end_with_the_year_9999},
};

TEST_MAIN(cases)

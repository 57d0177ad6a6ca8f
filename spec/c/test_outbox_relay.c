/* outbox relay: every pending message reaches Kafka through any outage, in order per key, and once
 * unless a server or the relay is killed. Needs PG_TEST_URL. */
#include "base/metrics.h"
#include "proxy.h"
#include "relay_world.h"

#define DATABASE "test_outbox_relay"
#define PRODUCE_REQUEST 0 /* its number in the protocol */

static void pending_messages_are_sent_in_order(void) {
    world_begin(DATABASE);
    store("news", 1, 2500); /* more than one window */
    start_relay(0);
    WAIT_UNTIL(has_read(2500));
    WAIT_UNTIL(all_done("'sent'"));
    store("news", 2501, 2600);
    outbox_wake(world.relays[0]);
    WAIT_UNTIL(all_done("'sent'") && has_read(2600));
    check_each_once_in_order(2600);
    CHECK_TEXT(
        outbox_ask(world.pg, "SELECT count(*) FROM aggregator_state.outbox WHERE done_at IS NULL"),
        "0");
    world_end();
}

static void a_message_carries_its_headers_and_its_trace(void) {
    rd_kafka_headers_t *headers = NULL;
    const void *value;
    size_t size;
    world_begin(DATABASE);
    outbox_script(world.pg,
                  "INSERT INTO aggregator_state.outbox (identity, topic, key, value, headers, "
                  "traceparent, fact_at, "
                  "source, scripts) VALUES ('a', 'news', 'k', '1', '{\"event_id\": \"\\u00e9\"}', "
                  "'00-1-2-01', now(), 's', 'h')");
    start_relay(0);
    rd_kafka_message_t *message = NULL;
    WAIT_UNTIL(message || (message = rd_kafka_consumer_poll(world.consumer, 100)));
    CHECK(message && rd_kafka_message_headers(message, &headers) == 0);
    CHECK(rd_kafka_header_get_last(headers, "event_id", &value, &size) == 0 && size == 2 &&
          memcmp(value, "\xC3\xA9", 2) == 0);
    CHECK(rd_kafka_header_get_last(headers, "traceparent", &value, &size) == 0 && size == 9);
    rd_kafka_message_destroy(message);
    world_end();
}

static void kafka_away_and_back_sends_all_once(void) {
    world_begin(DATABASE);
    store("news", 1, 100);
    start_relay(0);
    start_relay(1);
    WAIT_UNTIL(has_read(100));
    rd_kafka_mock_broker_set_down(world.cluster, BROKER);
    for (int i = 1; i < 5; i++) {
        store("news", 1 + i * 100, 100 + i * 100);
        outbox_wake(world.relays[0]);
        outbox_wake(world.relays[1]);
    }
    WAIT_UNTIL(
        strcmp(outbox_ask(world.pg,
                          "SELECT count(*) FROM aggregator_state.outbox WHERE state = 'sent'"),
               "100") == 0);
    rd_kafka_mock_broker_set_up(world.cluster, BROKER);
    WAIT_UNTIL(has_read(500));
    WAIT_UNTIL(all_done("'sent'"));
    check_each_once_in_order(500);
    world_end();
}

static void the_database_away_in_between_sends_nothing_twice(void) {
    struct proxy proxy;
    char url[512];
    world_begin(DATABASE);
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/%s", proxy.port, DATABASE);
    free(world.config.postgres.url);
    world.config.postgres.url = strdup(url);
    start_relay(0);
    for (int i = 0; i < 5; i++) {
        store("news", 1 + i * 100, 100 + i * 100);
        outbox_wake(world.relays[0]);
        WAIT_UNTIL(has_read((size_t)(i * 100 + 1)));
        proxy.mode = PROXY_CUT;
        has_read((size_t)(i * 100 + 100));
        proxy.mode = PROXY_PASS;
        WAIT_UNTIL(has_read((size_t)(i * 100 + 100)));
    }
    WAIT_UNTIL(all_done("'sent'"));
    check_each_once_in_order(500);
    stop_relay(0);
    proxy_stop(&proxy);
    world_end();
}

static void add_value(const struct metric_cell *cell, void *sum) {
    *(double *)sum += metric_value(cell);
}

static double total(const char *metric) {
    double sum = 0;
    metrics_visit(metric, add_value, &sum);
    return sum;
}

static void an_outcome_counts_once_however_often_it_is_written(void) {
    world_begin(DATABASE);
    outbox_script(world.pg, "CREATE SEQUENCE tries; "
                            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                            "$$BEGIN PERFORM nextval('tries'); RAISE 'not now'; END$$; "
                            "CREATE TRIGGER refuse BEFORE UPDATE ON aggregator_state.outbox "
                            "EXECUTE FUNCTION refuse()");
    double observed = total("ras_outbox_publish_seconds"), sent = total("ras_outbox_sent_total");
    store("news", 1, 5);
    start_relay(0);
    WAIT_UNTIL(strtoll(outbox_ask(world.pg, "SELECT last_value FROM tries"), NULL, 10) >= 3);
    outbox_script(world.pg, "DROP TRIGGER refuse ON aggregator_state.outbox");
    WAIT_UNTIL(all_done("'sent'"));
    stop_relay(0);
    CHECK_INT(total("ras_outbox_publish_seconds") - observed, 5);
    CHECK_INT(total("ras_outbox_sent_total") - sent, 5);
    world_end();
}

static void a_topic_without_the_right_to_write_delays_only_itself(void) {
    world_begin(DATABASE);
    rd_kafka_mock_push_request_errors(world.cluster, PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    store("news", 1, 1);
    start_relay(0);
    WAIT_UNTIL(
        strstr(outbox_ask(world.pg, "SELECT error FROM aggregator_state.outbox"), "authoriz"));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT state || attempts FROM aggregator_state.outbox"),
               "pending1");
    store("other", 6, 6); /* does not wait for the second try */
    store("news", 11, 11);
    outbox_wake(world.relays[0]);
    WAIT_UNTIL(has_read(1));
    CHECK_TEXT(world.records[0], "other k1 6");
    WAIT_UNTIL(has_read(3));
    CHECK_TEXT(world.records[1], "news k1 1");
    CHECK_TEXT(world.records[2], "news k1 11");
    WAIT_UNTIL(all_done("'sent'"));
    world_end();
}

/* One request at a time: the mock cluster would take those behind the refused one, which a broker
 * refuses by their sequence numbers. */
static void refuse_the_first_request_of(int messages, const char *batch) {
    char *names[] = {(char *)"batch.num.messages", (char *)"max.in.flight"},
         *values[] = {(char *)batch, (char *)"1"};
    world_begin(DATABASE);
    world.config.kafka.options = (struct config_pairs){names, values, 2};
    rd_kafka_mock_push_request_errors(world.cluster, PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    store("news", 1, messages);
    start_relay(0);
    WAIT_UNTIL(all_done("'sent'"));
    WAIT_UNTIL(has_read((size_t)messages));
    check_each_once_in_order((size_t)messages);
    store("news", messages + 1, 2 * messages); /* together again */
    outbox_wake(world.relays[0]);
    WAIT_UNTIL(has_read((size_t)messages * 2));
    check_each_once_in_order((size_t)messages * 2);
    world_end();
}

static void messages_of_a_request_that_kafka_refuses_are_sent_one_at_a_time(void) {
    refuse_the_first_request_of(20, "10000");
}

static void messages_after_a_request_that_kafka_refuses_stay_behind_it(void) {
    refuse_the_first_request_of(20, "1"); /* twenty requests */
}

static void a_message_that_kafka_refuses_fails_alone(void) {
    world_begin(DATABASE);
    rd_kafka_mock_push_request_errors(world.cluster, PRODUCE_REQUEST, 2,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    store("news", 1, 1);
    start_relay(0);
    WAIT_UNTIL(all_done("'failed'"));
    CHECK_HAS(outbox_ask(world.pg, "SELECT error FROM aggregator_state.outbox"), "too large");
    store("news", 6, 6);
    outbox_wake(world.relays[0]);
    WAIT_UNTIL(has_read(1));
    CHECK_TEXT(world.records[0], "news k1 6");
    world_end();
}

static void a_message_above_the_limit_of_the_client_fails_alone(void) {
    world_begin(DATABASE);
    store("news", 1, 2);
    outbox_script(world.pg, "UPDATE aggregator_state.outbox SET key = 'k', value = "
                            "convert_to(repeat('x', 1500000), 'UTF8') WHERE id = 1");
    start_relay(0);
    WAIT_UNTIL(all_done("'failed', 'sent'"));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT string_agg(state, ' ' ORDER BY id) FROM "
                                    "aggregator_state.outbox"),
               "failed sent");
    world_end();
}

static void an_old_fact_is_settled_not_sent(void) {
    world_begin(DATABASE);
    store("news", 1, 3);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox SET fact_at = now() - interval '25 hours' WHERE id = 2");
    start_relay(0);
    WAIT_UNTIL(all_done("'sent', 'settled'"));
    WAIT_UNTIL(has_read(2));
    CHECK_TEXT(outbox_ask(world.pg,
                          "SELECT string_agg(state, ' ' ORDER BY id) FROM aggregator_state.outbox"),
               "sent settled sent");
    world_end();
}

static void a_relay_stops_in_time_during_an_outage(void) {
    world_begin(DATABASE);
    rd_kafka_mock_broker_set_down(world.cluster, BROKER);
    store("news", 1, 100);
    start_relay(0);
    WAIT_UNTIL(
        strcmp(outbox_ask(world.pg, "SELECT until > now() FROM aggregator_state.outbox_relay"),
               "t") == 0);
    int64_t began_us = clock_monotonic_us();
    stop_relay(0);
    CHECK(clock_monotonic_us() - began_us < 8000000);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT until FROM aggregator_state.outbox_relay"),
               "-infinity");
    CHECK_TEXT(outbox_ask(world.pg,
                          "SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending'"),
               "100");
    world_end();
}

static const struct test_case cases[] = {
    {"pending messages are sent in order", pending_messages_are_sent_in_order},
    {"a message carries its headers and its trace", a_message_carries_its_headers_and_its_trace},
    {"Kafka down and back: each message is sent once", kafka_away_and_back_sends_all_once},
    {"the database down in between: no message is sent twice",
     the_database_away_in_between_sends_nothing_twice},
    {"an outcome counts once, however often it is written",
     an_outcome_counts_once_however_often_it_is_written},
    {"a topic without the right to write delays only itself",
     a_topic_without_the_right_to_write_delays_only_itself},
    {"messages of a request that Kafka refuses are sent one at a time",
     messages_of_a_request_that_kafka_refuses_are_sent_one_at_a_time},
    {"messages after a request that Kafka refuses stay behind it",
     messages_after_a_request_that_kafka_refuses_stay_behind_it},
    {"a message that Kafka refuses fails alone", a_message_that_kafka_refuses_fails_alone},
    {"a message above the limit of the client fails alone",
     a_message_above_the_limit_of_the_client_fails_alone},
    {"an old fact is settled, not sent", an_old_fact_is_settled_not_sent},
    {"a relay stops in time during an outage", a_relay_stops_in_time_during_an_outage},
};

TEST_MAIN(cases)

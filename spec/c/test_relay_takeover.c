/* relay takeover: one relay at a time sends, and another takes over from one that has ended, lost
 * its lease or been cut off: nothing is sent twice. Needs PG_TEST_URL. */
#include "captured.h"
#include "proxy.h"
#include "relay_world.h"

#define DATABASE "test_relay_takeover"

static void one_of_two_relays_publishes_and_the_other_goes_on(void) {
    world_begin(DATABASE);
    start_relay(0);
    start_relay(1);
    for (int i = 0; i < 10; i++) {
        store("news", 1 + i * 100, 100 + i * 100);
        outbox_wake(world.relays[i % 2]);
    }
    WAIT_UNTIL(has_read(1000));
    WAIT_UNTIL(all_done("'sent'"));
    stop_relay(0); /* whichever it is */
    store("news", 1001, 1100);
    WAIT_UNTIL(has_read(1100));
    WAIT_UNTIL(all_done("'sent'"));
    check_each_once_in_order(1100);
    world_end();
}

static void a_lease_that_ran_out_is_taken_over(void) {
    world_begin(DATABASE);
    outbox_script(world.pg, "UPDATE aggregator_state.outbox_relay SET holder = 'dead', "
                            "until = clock_timestamp() + interval '500 ms'");
    store("news", 1, 5);
    start_relay(0);
    WAIT_UNTIL(has_read(5));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT holder <> 'dead' FROM aggregator_state.outbox_relay"),
               "t");
    world_end();
}

static void a_deleted_lease_row_is_created_again(void) {
    world_begin(DATABASE);
    outbox_script(world.pg, "DELETE FROM aggregator_state.outbox_relay");
    store("news", 1, 5);
    start_relay(0);
    WAIT_UNTIL(has_read(5));
    world_end();
}

static void a_process_that_lost_its_lease_stops_sending(void) {
    world_begin(DATABASE);
    store("news", 1, 1);
    start_relay(0);
    WAIT_UNTIL(all_done("'sent'"));
    rd_kafka_mock_broker_set_down(world.cluster, BROKER);
    store("news", 2, 50);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox_relay SET holder = 'another', until = 'infinity'");
    WAIT_UNTIL(reports(0, "\"publishes\":false"));
    rd_kafka_mock_broker_set_up(world.cluster, BROKER);
    WAIT_UNTIL(has_read(1));
    CHECK_INT(broker_count(), 1);
    CHECK_TEXT(outbox_ask(world.pg,
                          "SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending'"),
               "49");
    world_end();
}

/* A client that waits longer than relay 0's before it connects again: once its message is read,
 * relay 0's client has sent what it has. */
static rd_kafka_t *make_late_client(void) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", world.config.kafka.brokers, text, sizeof text);
    rd_kafka_conf_set(conf, "reconnect.backoff.ms", "3000", text, sizeof text);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "3000", text, sizeof text);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    CHECK(client &&
          rd_kafka_producev(client, RD_KAFKA_V_TOPIC("other"), RD_KAFKA_V_KEY("k5", 2),
                            RD_KAFKA_V_VALUE((void *)"16", 2),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) == 0);
    return client;
}

/* Relay 0 loses Kafka and the database; relay 1 takes over with an unbroken connection. */
static void a_relay_cut_off_past_its_lease_sends_nothing_behind_the_next(void) {
    char *names[] = {(char *)"reconnect.backoff.ms", (char *)"reconnect.backoff.max.ms"},
         *slow[] = {(char *)"1500", (char *)"1500"}, *quick[] = {(char *)"100", (char *)"200"};
    struct proxy proxy;
    char url[512];
    world_begin(DATABASE);
    struct config direct = world.config;
    direct.kafka.options = (struct config_pairs){names, quick, 2};
    proxy_start(&proxy, proxy_url_port(test_url("PG_TEST_URL")));
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/%s", proxy.port, DATABASE);
    world.config.postgres.url = url;
    world.config.kafka.options = (struct config_pairs){names, slow, 2};
    start_relay(0);
    store("news", 1, 4);
    WAIT_UNTIL(has_read(4));
    rd_kafka_mock_broker_set_down(world.cluster, BROKER);
    rd_kafka_t *late = make_late_client();
    store("news", 5, 10);
    outbox_wake(world.relays[0]);
    WAIT_UNTIL(reports(0, "\"in_flight\":6"));
    captured_begin();
    proxy.mode = PROXY_CUT;
    world.relays[1] = outbox_relay_start(&direct, &err);
    outbox_relay_release(world.relays[1]);
    bool expired = false; /* what was captured is read once */
    WAIT_UNTIL((expired = expired || strstr(captured_take(), "lease expired without") != NULL));
    captured_end();
    WAIT_UNTIL(reports(1, "\"publishes\":true"));
    rd_kafka_mock_broker_set_up(world.cluster, BROKER);
    WAIT_UNTIL(all_done("'sent'"));
    store("news", 11, 15);
    outbox_wake(world.relays[1]);
    WAIT_UNTIL(has_read(16));
    check_each_once_in_order(16);
    proxy.mode = PROXY_PASS; /* its reports change nothing */
    WAIT_UNTIL(reports(0, "\"in_flight\":0") && reports(0, "\"publishes\":false"));
    CHECK(all_done("'sent'"));
    stop_relay(0);
    stop_relay(1);
    proxy_stop(&proxy);
    rd_kafka_destroy(late);
    world.config = direct;
    world_end();
}

static const struct test_case cases[] = {
    {"one of two relays publishes, and the other goes on",
     one_of_two_relays_publishes_and_the_other_goes_on},
    {"a lease that ran out is taken over", a_lease_that_ran_out_is_taken_over},
    {"a deleted lease row is created again", a_deleted_lease_row_is_created_again},
    {"a process that lost its lease stops sending", a_process_that_lost_its_lease_stops_sending},
    {"a relay cut off past its lease sends nothing behind the next one",
     a_relay_cut_off_past_its_lease_sends_nothing_behind_the_next},
};

TEST_MAIN(cases)

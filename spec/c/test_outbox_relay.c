/* outbox relay: every pending message reaches Kafka through any outage, in order per key, and once
 * unless a server or the relay is killed. The broker is librdkafka's mock cluster, in this process.
 * Needs PG_TEST_URL. */
#include "outbox/relay.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/log.h"
#include "base/metrics.h"
#include "bindings/pg_rows.h"
#include "captured.h"
#include "outbox/rows.h"
#include "outbox_tables.h"
#include "proxy.h"

#define DATABASE "test_outbox_relay"
#define BROKER 1
#define PRODUCE_REQUEST 0 /* its number in the protocol */
#define RECORDS_MAX 8192

static struct {
    rd_kafka_t *client, *consumer;
    rd_kafka_mock_cluster_t *cluster;
    struct config config;
    struct pg *pg;
    struct outbox_relay *relays[2];
    char *records[RECORDS_MAX]; /* "topic key value" of each that the consumer has read */
    size_t count;
} world;
static struct err err;

/* ---- the world ------------------------------------------------------------------------------ */

#define TOPICS 2
#define PARTITIONS 2 /* of each */
static const char *const topics[TOPICS] = {"news", "other"};

static void follow_topics(void) {
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

static void begin(void) {
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
    world.config.postgres.url = strdup(test_database_url(DATABASE));
    world.config.outbox.enabled = 1;
    world.config.outbox.horizon_hours = 24;
    world.config.outbox.keep_rows = 1000;
    world.pg = outbox_database_make(DATABASE);
    follow_topics();
}

static void start_relay(int i) {
    err_clear(&err);
    world.relays[i] = outbox_relay_start(&world.config, false, &err);
    CHECK_OK(world.relays[i] != NULL, &err);
}

static void stop_relay(int i) {
    outbox_relay_stop(world.relays[i]);
    world.relays[i] = NULL;
}

static void end(void) {
    stop_relay(0);
    stop_relay(1);
    rd_kafka_consumer_close(world.consumer);
    rd_kafka_destroy(world.consumer);
    rd_kafka_mock_cluster_destroy(world.cluster);
    rd_kafka_destroy(world.client);
    outbox_database_drop(world.pg, DATABASE);
    free(world.config.postgres.url);
    for (size_t i = 0; i < world.count; i++) {
        free(world.records[i]);
    }
    log_mute(false);
}

/* Numbers first to last, over five keys, as messages of the topic. */
static void store(const char *topic, int first, int last) {
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
static bool has_read(size_t wanted) {
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

static bool all_done(const char *states) {
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM aggregator_state.outbox WHERE state NOT IN (%s)", states);
    return strcmp(outbox_ask(world.pg, sql), "0") == 0;
}

/* Records of all topics, whether they were read or not. */
static int64_t broker_count(void) {
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
static void check_each_once_in_order(size_t count) {
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

/* ---- cases ---------------------------------------------------------------------------------- */

static void pending_messages_are_sent_in_order(void) {
    begin();
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
    end();
}

static void a_message_carries_its_headers_and_its_trace(void) {
    rd_kafka_headers_t *headers = NULL;
    const void *value;
    size_t size;
    begin();
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
    end();
}

static void one_of_two_relays_publishes_and_the_other_goes_on(void) {
    begin();
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
    end();
}

static void a_lease_that_ran_out_is_taken_over(void) {
    begin();
    outbox_script(world.pg, "UPDATE aggregator_state.outbox_relay SET holder = 'dead', "
                            "until = clock_timestamp() + interval '500 ms'");
    store("news", 1, 5);
    start_relay(0);
    WAIT_UNTIL(has_read(5));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT holder <> 'dead' FROM aggregator_state.outbox_relay"),
               "t");
    end();
}

static void a_deleted_lease_row_is_created_again(void) {
    begin();
    outbox_script(world.pg, "DELETE FROM aggregator_state.outbox_relay");
    store("news", 1, 5);
    start_relay(0);
    WAIT_UNTIL(has_read(5));
    end();
}

static void kafka_away_and_back_sends_all_once(void) {
    begin();
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
    end();
}

static void the_database_away_in_between_sends_nothing_twice(void) {
    struct proxy proxy;
    char url[512];
    begin();
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
    end();
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
    begin();
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
    end();
}

static void a_topic_without_the_right_to_write_delays_only_itself(void) {
    begin();
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
    end();
}

/* One request at a time: the mock cluster would take those behind the refused one, which a broker
 * refuses by their sequence numbers. */
static void refuse_the_first_request_of(int messages, const char *batch) {
    char *names[] = {(char *)"batch.num.messages", (char *)"max.in.flight"},
         *values[] = {(char *)batch, (char *)"1"};
    begin();
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
    end();
}

static void messages_of_a_request_that_kafka_refuses_are_sent_one_at_a_time(void) {
    refuse_the_first_request_of(20, "10000");
}

static void messages_after_a_request_that_kafka_refuses_stay_behind_it(void) {
    refuse_the_first_request_of(20, "1"); /* twenty requests */
}

static void a_message_that_kafka_refuses_fails_alone(void) {
    begin();
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
    end();
}

static void a_message_above_the_limit_of_the_client_fails_alone(void) {
    begin();
    store("news", 1, 2);
    outbox_script(world.pg, "UPDATE aggregator_state.outbox SET key = 'k', value = "
                            "convert_to(repeat('x', 1500000), 'UTF8') WHERE id = 1");
    start_relay(0);
    WAIT_UNTIL(all_done("'failed', 'sent'"));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT string_agg(state, ' ' ORDER BY id) FROM "
                                    "aggregator_state.outbox"),
               "failed sent");
    end();
}

static void an_old_fact_is_settled_not_sent(void) {
    begin();
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
    end();
}

static void a_process_that_lost_its_lease_stops_sending(void) {
    begin();
    store("news", 1, 1);
    start_relay(0);
    WAIT_UNTIL(all_done("'sent'"));
    rd_kafka_mock_broker_set_down(world.cluster, BROKER);
    store("news", 2, 50);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox_relay SET holder = 'another', until = 'infinity'");
    struct buffer report = {0};
    WAIT_UNTIL((buffer_clear(&report), outbox_relay_report(world.relays[0], &report),
                strstr(report.data, "\"publishes\":false")));
    rd_kafka_mock_broker_set_up(world.cluster, BROKER);
    WAIT_UNTIL(has_read(1));
    CHECK_INT(broker_count(), 1);
    CHECK_TEXT(outbox_ask(world.pg,
                          "SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending'"),
               "49");
    buffer_free(&report);
    end();
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

static bool reports(int relay, const char *part) {
    struct buffer report = {0};
    outbox_relay_report(world.relays[relay], &report);
    bool found = strstr(report.data, part) != NULL;
    buffer_free(&report);
    return found;
}

/* Relay 0 loses Kafka and the database; relay 1 takes over with an unbroken connection. */
static void a_relay_cut_off_past_its_lease_sends_nothing_behind_the_next(void) {
    char *names[] = {(char *)"reconnect.backoff.ms", (char *)"reconnect.backoff.max.ms"},
         *slow[] = {(char *)"1500", (char *)"1500"}, *quick[] = {(char *)"100", (char *)"200"};
    struct proxy proxy;
    char url[512];
    begin();
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
    world.relays[1] = outbox_relay_start(&direct, false, &err);
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
    end();
}

static void a_relay_stops_in_time_during_an_outage(void) {
    begin();
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
    end();
}

static struct rows rows_of_the_world(void) {
    return (struct rows){.pg = world.pg,
                         .params = pg_params_create(),
                         .holder = "t",
                         .horizon_hours = 24,
                         .keep_rows = 1000};
}

static void rows_leave_once_their_facts_cannot_be_sent_again(void) {
    int64_t pruned = 0;
    begin();
    struct rows rows = rows_of_the_world();
    store("news", 1, 8);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '49 hours', "
        "created_at = now() - interval '49 hours' WHERE id <= 2; "
        "UPDATE aggregator_state.outbox SET fact_at = now() - interval '49 hours' WHERE id = 3; "
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '47 hours', "
        "created_at = now() - interval '47 hours' WHERE id = 4");
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_INT(pruned, 2);
    CHECK_TEXT(
        outbox_ask(world.pg,
                   "SELECT string_agg(id::text, ' ' ORDER BY id) FROM aggregator_state.outbox"),
        "3 4 5 6 7 8"); /* pending ones and young facts stay */
    rows.keep_rows = 3;
    outbox_script(world.pg,
                  "UPDATE aggregator_state.outbox SET state = 'settled', done_at = now(), "
                  "fact_at = now() - id * interval '5 hours' WHERE id > 4");
    outbox_count_rows(world.pg);
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_INT(pruned, 3); /* of six rows keep_rows leaves three; the oldest facts go */
    CHECK_TEXT(
        outbox_ask(world.pg,
                   "SELECT string_agg(id::text, ' ' ORDER BY id) FROM aggregator_state.outbox"),
        "3 5 6");
    pg_params_destroy(rows.params);
    end();
}

/* Rows that a statement of the connection, known by a part of it, reads beside those that it takes.
 */
static int64_t rows_read_in_vain(const char *part, const char *params) {
    static const char label[] = "\"Rows Removed by Filter\": ";
    char sql[256];
    struct pg_result *plan;
    int64_t count = 0;
    snprintf(sql, sizeof sql,
             "SELECT name FROM pg_prepared_statements "
             "WHERE statement LIKE '%%%s%%' AND statement NOT LIKE '%%pg_prepared%%'",
             part);
    const char *name = outbox_ask(world.pg, sql);
    snprintf(sql, sizeof sql, "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE \"%s\" (%s)", name, params);
    if (!pg_query(world.pg, sql, sql, NULL, OUTBOX_WAIT_MS, &plan, &err)) {
        TEST_FAIL("%s", err.text);
        return -1;
    }
    const char *at = pg_rows_text(plan, 0, 0);
    CHECK(strstr(at, "Seq Scan") == NULL);
    while ((at = strstr(at, label))) {
        at += strlen(label);
        count += strtoll(at, NULL, 10);
    }
    pg_rows_free(plan);
    return count;
}

/* One done row each 8 s of the last 44 hours, and young ones that were settled. */
static void store_a_day_of_done_rows(void) {
    outbox_script(
        world.pg,
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, created_at, "
        "source, scripts, state, done_at) "
        "SELECT n, 'news', 'k', 'v', at, at, 's', 'h', 'sent', at FROM generate_series(1, 20000) "
        "n, "
        "LATERAL (SELECT now() - n * interval '8 seconds' AS at) AS t; "
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, "
        "source, scripts, state, done_at) "
        "SELECT -n, 'news', 'k', 'v', now(), 's', 'h', 'settled', now() "
        "FROM generate_series(1, 1000) n");
    outbox_count_rows(world.pg);
}

static void pruning_reads_only_the_rows_that_it_deletes(void) {
    int64_t pruned;
    begin();
    struct rows rows = rows_of_the_world();
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err); /* prepares the statement */
    store_a_day_of_done_rows();
    CHECK_INT(rows_read_in_vain("DELETE FROM aggregator_state.outbox", "24, 1000, 1000000"), 0);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT count(*) FROM aggregator_state.outbox"), "21000");
    CHECK_INT(rows_read_in_vain("DELETE FROM aggregator_state.outbox", "24, 1000, 10000"), 0);
    CHECK_TEXT(outbox_ask(world.pg, "SELECT count(*) FROM aggregator_state.outbox"), "20000");
    pg_params_destroy(rows.params);
    end();
}

/* A backlog of one topic in front of ten messages of another. */
static void a_skipped_topics_backlog_is_not_read(void) {
    struct pg_result *taken;
    const char *refused[] = {"news"};
    struct rows_skipped skipped = {.topics = refused, .topic_count = 1};
    begin();
    struct rows rows = rows_of_the_world();
    store("news", 1, 20000);
    store("other", 20001, 20010);
    outbox_count_rows(world.pg);
    CHECK_OK(rows_take(&rows, &skipped, 100, 1000000, &taken, &err), &err);
    CHECK_INT(pg_rows_count(taken), 10);
    CHECK_TEXT(pg_rows_text(taken, 0, ROW_ID), "20001");
    pg_rows_free(taken);
    CHECK(rows_read_in_vain("AS before", "24, '{}', '{news}', 100, 1000000") < 5); /* topics */
    pg_params_destroy(rows.params);
    end();
}

static void messages_leave_while_rows_cannot_be_deleted(void) {
    struct buffer report = {0};
    begin();
    store("news", 1, 1);
    outbox_script(
        world.pg,
        "CREATE SEQUENCE deletes; "
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM nextval('deletes'); RAISE 'not now'; END$$; "
        "CREATE TRIGGER refuse BEFORE DELETE ON aggregator_state.outbox FOR EACH ROW EXECUTE "
        "FUNCTION refuse(); "
        "UPDATE aggregator_state.outbox SET state = 'sent', created_at = now() - interval '9 "
        "days', "
        "done_at = now() - interval '9 days'");
    start_relay(0);
    WAIT_UNTIL(strcmp(outbox_ask(world.pg, "SELECT is_called FROM deletes"), "t") == 0);
    for (int i = 0; i < 3; i++) {
        store("news", 2 + i, 2 + i);
        outbox_wake(world.relays[0]);
        WAIT_UNTIL(has_read((size_t)(1 + i)) && all_done("'sent'"));
        buffer_clear(&report);
        outbox_relay_report(world.relays[0], &report);
        CHECK_HAS(report.data, "\"error\":null");
    }
    CHECK_TEXT(outbox_ask(world.pg, "SELECT last_value FROM deletes"), "1");
    buffer_free(&report);
    end();
}

static void a_fact_of_the_future_leaves_as_one_of_the_time_it_was_stored(void) {
    int64_t pruned = 0;
    begin();
    struct rows rows = rows_of_the_world();
    store("news", 1, 3);
    outbox_script(
        world.pg,
        "UPDATE aggregator_state.outbox SET fact_at = '9999-01-01'; "
        "UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() - interval '25 hours', "
        "created_at = now() - id * interval '25 hours' WHERE id <= 2; "
        "UPDATE aggregator_state.outbox SET done_at = created_at WHERE id = 2; "
        "UPDATE aggregator_state.outbox SET created_at = now() - interval '25 hours' WHERE id = 3");
    CHECK_OK(rows_prune(&rows, &pruned, &err), &err);
    CHECK_TEXT(
        outbox_ask(world.pg,
                   "SELECT string_agg(id::text, ' ' ORDER BY id) FROM aggregator_state.outbox"),
        "1 3");
    start_relay(0);
    WAIT_UNTIL(all_done("'sent', 'settled'"));
    CHECK_TEXT(outbox_ask(world.pg, "SELECT state FROM aggregator_state.outbox WHERE id = 3"),
               "settled");
    pg_params_destroy(rows.params);
    end();
}

/* A relay that is alone looks for others' messages once a second. */
static void another_process_that_reports_ends_being_alone(void) {
    static const struct {
        const char *last_seen, *stopped_at;
        bool alone;
    } others[] = {{"now()", "NULL", false},
                  {"now()", "now()", true},
                  {"now() - interval '31 s'", "NULL", true}};
    begin();
    struct rows rows = rows_of_the_world();
    outbox_script(world.pg, "INSERT INTO aggregator_state.instances VALUES "
                            "('g', 'own', 'h', now(), now(), NULL, 1, 's', now())");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char sql[512];
        enum rows_lease lease;
        snprintf(sql, sizeof sql,
                 "DELETE FROM aggregator_state.instances WHERE instance = 'other'; "
                 "INSERT INTO aggregator_state.instances VALUES "
                 "('g', 'other', 'h', now(), %s, %s, 1, 's', now())",
                 others[i].last_seen, others[i].stopped_at);
        outbox_script(world.pg, sql);
        CHECK_OK(rows_claim(&rows, false, &lease, &err), &err);
        CHECK_INT(rows.alone, others[i].alone);
    }
    pg_params_destroy(rows.params);
    end();
}

static const struct test_case cases[] = {
    {"pending messages are sent in order", pending_messages_are_sent_in_order},
    {"a message carries its headers and its trace", a_message_carries_its_headers_and_its_trace},
    {"one of two relays publishes, and the other goes on",
     one_of_two_relays_publishes_and_the_other_goes_on},
    {"a lease that ran out is taken over", a_lease_that_ran_out_is_taken_over},
    {"a deleted lease row is created again", a_deleted_lease_row_is_created_again},
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
    {"a process that lost its lease stops sending", a_process_that_lost_its_lease_stops_sending},
    {"a relay cut off past its lease sends nothing behind the next one",
     a_relay_cut_off_past_its_lease_sends_nothing_behind_the_next},
    {"a relay stops in time during an outage", a_relay_stops_in_time_during_an_outage},
    {"rows leave once their facts cannot be sent again",
     rows_leave_once_their_facts_cannot_be_sent_again},
    {"a fact of the future leaves as one of the time it was stored",
     a_fact_of_the_future_leaves_as_one_of_the_time_it_was_stored},
    {"pruning reads only the rows that it deletes", pruning_reads_only_the_rows_that_it_deletes},
    {"a skipped topic's backlog is not read", a_skipped_topics_backlog_is_not_read},
    {"messages leave while rows cannot be deleted", messages_leave_while_rows_cannot_be_deleted},
    {"another process that reports ends being alone",
     another_process_that_reports_ends_being_alone},
};

TEST_MAIN(cases)

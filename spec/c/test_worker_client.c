/* A worker with a Kafka client that fails silently, and with a Kafka that refuses offset commits
 * for lag tools. The broker is librdkafka's mock cluster, in this process. */
#include "bindings/kafka_consumer_private.h"
#include "base/clock.h"
#include "ingest/worker.h"
#include "broker.h"
#include "scripts.h"

enum { API_OFFSET_COMMIT = 8 };

static struct scripts scripts;
static struct script_generation *generation;
static struct broker broker;
static struct worker worker;
static char *static_names[] = {(char *)"group.instance.id"}, *static_values[] = {(char *)"one"};
static struct err err;
static double stalls_before; /* the cell is every case's */

/* A worker as ingest.c makes one, that follows the broker's topic; it is not run. */
static void begin(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/t.lua",
                  "return { topics = { '" BROKER_TOPIC "' }, fields = { id = 'data.id' },\n"
                  "handle = function() end }");
    scripts.config.postgres.url = (char *)"postgresql://127.0.0.1:1/x";
    scripts.config.ingest.batch_max_events = 100;
    scripts.config.ingest.batch_max_bytes = 1 << 20;
    scripts.config.ingest.batch_max_merge_bytes = 1 << 20;
    scripts.config.ingest.breaker_share_percent = 50;
    scripts.config.ingest.breaker_window_events = 20;
    /* librdkafka knows fatal errors of static members alone. */
    scripts.config.kafka.options = (struct config_pairs){static_names, static_values, 1};
    broker_start(&broker, &scripts.config);
    err_clear(&err);
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct pipeline_options options = {.generation = generation,
                                       .group = "spec",
                                       .application_name = "spec",
                                       .release = kafka_message_release};
    worker = (struct worker){.config = &scripts.config, .filling = &worker.batches[0]};
    worker.errors = metric_unshown(METRIC_COUNTER);
    worker.stalls = metric_unshown(METRIC_COUNTER);
    stalls_before = metric_value(worker.stalls);
    pthread_mutex_init(&worker.status.lock, NULL);
    CHECK_OK(pipeline_open(&worker.pipeline, &options, &err), &err);
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_init(&worker.batches[i], generation);
        batch_clear(&worker.pipeline, &worker.batches[i]);
    }
    CHECK_OK(consumer_open(&worker, &err), &err);
}

static void end(void) {
    consumer_close(&worker);
    for (int i = 0; i < WORKER_BATCHES; i++) {
        batch_free(&worker.pipeline, &worker.batches[i]);
    }
    pipeline_close(&worker.pipeline);
    pthread_mutex_destroy(&worker.status.lock);
    script_generation_unref(generation);
    broker_stop(&broker);
    scripts_end(&scripts);
}

/* As the group and fetch_start leave it, but that the client fetches nothing. */
static struct partition *take_partition(void) {
    worker.has_assignment = true;
    worker.must_load_offsets = false;
    size_t at = pipeline_partition(&worker.pipeline, BROKER_TOPIC, 0);
    struct partition *partition = &worker.pipeline.partitions.items[at];
    partition->next_offset = partition->committed_offset = 0;
    worker.reopen.unassigned_since_us = 0;
    return partition;
}

/* The same by the group, which takes reports of its members alone. */
static struct partition *join_group(void) {
    WAIT_UNTIL((consumer_fill(&worker, true), worker.has_assignment));
    struct partition *partition = &worker.pipeline.partitions.items[0];
    worker.must_load_offsets = false;
    partition->next_offset = partition->committed_offset = 0;
    return partition;
}

static double restarts(const char *reason) {
    return metric_value(metric_cell(metric_family(METRIC_COUNTER, "ras_kafka_client_restarts_total",
                                                  "Kafka clients that were replaced.", "reason"),
                                    reason));
}

/* ---- reports ------------------------------------------------------------------------------- */

static void turn_until_answered(void) {
    WAIT_UNTIL((kafka_offsets_turn(&worker), !worker.kafka_offsets.is_under_way));
}

static void reports_what_has_changed(void) {
    begin();
    struct partition *partition = join_group();
    kafka_offsets_turn(&worker);
    CHECK(worker.kafka_offsets.is_under_way);
    turn_until_answered();
    CHECK_INT(partition->reported_offset, 0);
    worker.kafka_offsets.at_us = 0;
    kafka_offsets_turn(&worker);
    CHECK(!worker.kafka_offsets.is_under_way);
    partition->committed_offset = 5;
    kafka_offsets_report_last(&worker);
    CHECK_INT(partition->reported_offset, 5);
    end();
}

static void a_refused_report_rests(void) {
    begin();
    struct partition *partition = join_group();
    rd_kafka_mock_push_request_errors(broker.cluster, API_OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_offsets_turn(&worker);
    turn_until_answered();
    CHECK(worker.kafka_offsets.is_refused);
    CHECK_INT(partition->reported_offset, -1);
    CHECK(worker.kafka_offsets.at_us > clock_monotonic_us() + 20000000);
    CHECK_INT(metric_value(worker.errors), 0);
    kafka_offsets_report_last(&worker); /* asks no more */
    CHECK_INT(partition->reported_offset, -1);
    worker.kafka_offsets.at_us = 0;
    kafka_offsets_turn(&worker);
    turn_until_answered();
    CHECK(!worker.kafka_offsets.is_refused);
    CHECK_INT(partition->reported_offset, 0);
    end();
}

static void a_report_without_an_answer_is_left(void) {
    begin();
    join_group();
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 60000);
    int64_t began_us = clock_monotonic_us();
    kafka_offsets_report_last(&worker);
    CHECK(worker.kafka_offsets.is_under_way);
    end();                                             /* and leaving the group ends, too */
    CHECK(clock_monotonic_us() - began_us < 30000000); /* half of the broker's delay */
}

/* ---- the assignment ------------------------------------------------------------------------ */

static void change_assignment(bool come, bool cooperative, int32_t number) {
    struct kafka_place place = {.topic = BROKER_TOPIC, .partition = number};
    rebalance(&worker, &(struct kafka_rebalance){
                           .come = come, .cooperative = cooperative, .places = &place, .count = 1});
}

static void check_has(int32_t number) {
    CHECK(worker.has_assignment && worker.must_load_offsets);
    CHECK_INT(worker.pipeline.partitions.count, 1);
    CHECK_INT(worker.pipeline.partitions.items[0].number, number);
    CHECK_INT(worker.pipeline.partitions.items[0].next_offset, -1);
}

static void keeps_the_other_partitions_in_a_cooperative_group(void) {
    begin();
    change_assignment(true, true, 0);
    change_assignment(true, true, 1);
    CHECK_INT(worker.pipeline.partitions.count, 2);
    worker.pipeline.partitions.items[1].next_offset = 7; /* the database is asked again */
    change_assignment(false, true, 0);
    check_has(1);
    change_assignment(true, false, 2);
    check_has(2);
    change_assignment(false, false, 2);
    CHECK(!worker.has_assignment && worker.pipeline.partitions.count == 0);
    end();
}

/* ---- another client ------------------------------------------------------------------------ */

static void a_silent_fatal_error(void) {
    begin();
    double count = restarts("fatal");
    take_partition();
    rd_kafka_test_fatal_error(worker.kafka->client, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "a test");
    reopen_turn(&worker);
    CHECK(worker.kafka && kafka_consumer_fatal(worker.kafka).kind == KAFKA_ERROR_NONE);
    CHECK(!worker.has_assignment && !worker.must_load_offsets);
    CHECK_INT(restarts("fatal"), count + 1);
    end();
}

static void a_fenced_member_says_so(void) {
    begin();
    rd_kafka_test_fatal_error(worker.kafka->client, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "a test");
    reopen_ask_failed(&worker);
    CHECK_INT(worker.reopen.reason, REOPEN_FENCED);
    CHECK_HAS(worker.status.text, "group.instance.id");
    end();
}

static void look_for_stalls(struct partition *partition) {
    stall_look(&worker);
    partition->next_offset = 0;
    worker.must_load_offsets = false; /* as if fetching had begun again */
}

static void records_that_wait_in_vain(void) {
    begin();
    struct partition *partition = take_partition();
    broker_publish(&broker, 1764938400123);
    look_for_stalls(partition);
    CHECK_INT(metric_value(worker.stalls) - stalls_before, 0);
    look_for_stalls(partition);
    CHECK_INT(metric_value(worker.stalls) - stalls_before, 1);
    CHECK_INT(worker.reopen.reason, REOPEN_NONE);
    look_for_stalls(partition);
    CHECK_INT(worker.reopen.reason, REOPEN_STALLED);
    end();
}

static void an_end_that_kafka_does_not_say(void) {
    begin();
    struct partition *partition = take_partition();
    partition->high_offset = 9; /* received long ago */
    rd_kafka_mock_broker_set_down(broker.cluster, 1);
    for (int i = 0; i < 3; i++) {
        look_for_stalls(partition);
    }
    CHECK_INT(metric_value(worker.stalls) - stalls_before, 0);
    rd_kafka_mock_broker_set_up(broker.cluster, 1);
    end();
}

static void a_coordinator_that_moved(void) {
    begin();
    CHECK(!coordinator_has_moved(&worker));
    CHECK_INT(worker.coordinator.count, 1);
    char address[300], reason[400];
    snprintf(address, sizeof address, "%s", worker.coordinator.brokers[0].address);
    snprintf(reason, sizeof reason, "GroupCoordinator: %s: Disconnected", address);
    coordinator_note_error(&worker, reason);
    CHECK(!coordinator_has_moved(&worker)); /* it is only down */
    CHECK_TEXT(worker.coordinator.failed, "");
    snprintf(worker.coordinator.brokers[0].address, sizeof worker.coordinator.brokers[0].address,
             "old:1");
    coordinator_note_error(&worker, "127.0.0.1:1/1: Connect to ipv4#127.0.0.1:1 failed");
    CHECK_TEXT(worker.coordinator.failed, "");
    coordinator_note_error(&worker, "GroupCoordinator: old:1: Connect to ipv4#127.0.0.1:1 failed");
    CHECK_TEXT(worker.coordinator.failed, "old:1");
    CHECK(coordinator_has_moved(&worker));
    CHECK_TEXT(worker.coordinator.brokers[0].address, address);
    end();
}

static void at_a_bounded_rate(void) {
    begin();
    int64_t waited_us = 0;
    for (int i = 0; i < 40; i++) {
        reopen_ask(&worker, REOPEN_STALLED);
        waited_us = worker.reopen.at_us - clock_monotonic_us();
        worker.reopen.reason = REOPEN_NONE;
        worker.reopen.tries++;
    }
    CHECK(waited_us > 100000000 && waited_us <= 300000000);
    worker.reopen.opened_us -= 700000000; /* that one has worked */
    reopen_ask(&worker, REOPEN_STALLED);
    CHECK(worker.reopen.at_us <= clock_monotonic_us());
    worker.reopen.reason = REOPEN_NONE;
    end();
}

static const struct test_case cases[] = {
    {"commits changed offsets to Kafka", reports_what_has_changed},
    {"counts a refused report as no error, and rests", a_refused_report_rests},
    {"waits one second for an offset commit, and seconds to leave the group",
     a_report_without_an_answer_is_left},
    {"keeps the other partitions in a cooperative group",
     keeps_the_other_partitions_in_a_cooperative_group},
    {"replaces a client after an unreported fatal error", a_silent_fatal_error},
    {"reports another member with its group.instance.id", a_fenced_member_says_so},
    {"replaces a client that fetches nothing after a restart of its fetches",
     records_that_wait_in_vain},
    {"does not report a stall while Kafka does not reply", an_end_that_kafka_does_not_say},
    {"replaces a client if the coordinator has another address", a_coordinator_that_moved},
    {"replaces clients at a bounded rate", at_a_bounded_rate},
};

TEST_MAIN(cases)

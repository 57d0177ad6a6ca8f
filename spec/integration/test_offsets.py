"""Offsets that do not match the log: records deleted by retention, recreated topics, new
partitions. No loss is silent, and no event counts twice."""
import json
import os
import subprocess

import psycopg2
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from harness import check_counted, edited_config, log_lines, read_records, slot_event
from stack import wait_until
from views import check_view

SLOTS = "huleedu.els.essay.slot.assigned.v1"
OUTCOMES = "applied + superseded + ignored + duplicate + rejected + expired"


def slots(prefix, count):
    return [slot_event("a-batch", f"{prefix}-{number}", "a file", number)
            for number in range(count)]


def essays(service):
    return {essay for essay, in service.query("SELECT essay_id FROM essay_results")}


def offset_row(service):
    """(next offset, events counted, offsets skipped), summed over the topic's partitions; -1 each
    without offsets."""
    return tuple(map(int, service.query(
        f"SELECT coalesce(sum(next_offset), -1), coalesce(sum({OUTCOMES}), -1), "
        "coalesce(sum(skipped), -1) FROM aggregator_state.consumer_offsets WHERE topic = %s", SLOTS)[0]))


def delete_topic(kafka):
    client = AdminClient({"bootstrap.servers": kafka.brokers})
    for future in client.delete_topics([SLOTS]).values():
        future.result(30)
    wait_until("the topic to be gone", lambda: SLOTS not in client.list_topics(timeout=120).topics)


def make_topic(kafka):
    client = AdminClient({"bootstrap.servers": kafka.brokers})
    for future in client.create_topics([NewTopic(SLOTS, 1, 1)]).values():
        future.result(30)


@pytest.fixture
def single(make_service, cleanup, apache):
    """A service on an Apache Kafka whose topic of slots has one partition; no program yet."""
    delete_topic(apache)
    make_topic(apache)
    return make_service(cleanup, apache, redis="none")


def cut(service, offset):
    """Has Kafka delete the records before the offset, as retention does."""
    subprocess.run([service.build / "cut_log", service.kafka.brokers, SLOTS, "0", str(offset)],
                   check=True)


def test_records_deleted_before_they_were_read_are_logged_and_counted(single):
    program = single.start()
    single.publish(slots("early", 10))
    single.wait_committed(10)
    assert program.stop() == 0
    single.publish(slots("gone", 30) + slots("late", 10))
    cut(single, 40)
    program = single.start()
    single.wait_committed(50)
    assert offset_row(single) == (50, 20, 30)
    check_counted(program, "ras_deleted_messages_total", 30)
    line, = log_lines(program, "events were deleted by Kafka before they were read")
    assert (line["committed"], line["resumes_at"]) == (10, 40)
    assert essays(single) == {f"early-{n}" for n in range(10)} | {f"late-{n}" for n in range(10)}


def test_a_replay_of_records_that_kafka_has_deleted_is_no_loss(single):
    program = single.start()
    single.publish(slots("an", 10))
    single.wait_committed(10)
    cut(single, 4)
    program.command("replay", "--topic", SLOTS, "--from-offset", "0")
    wait_until("the replay", lambda: offset_row(single) == (10, 16, 4))
    assert program.metric("ras_deleted_messages_total") == 0
    line, = log_lines(program, "a replay begins later: Kafka has deleted the records before")
    assert (line["level"], line["replay_from"], line["log_begins"]) == ("warning", 0, 4)


def check_new_topic(service, program, count):
    wait_until("the new topic's events", lambda: essays(service) >= {
        f"new-{number}" for number in range(count)})
    assert offset_row(service) == (count, 5 + count, 0)
    line, = log_lines(program, "the topic was recreated or truncated: reading it from its start")
    assert (line["committed"], line["resumes_at"]) == (5, 0)


@pytest.mark.parametrize("count", [3, 20])
def test_a_topic_recreated_while_stopped_is_read_from_its_beginning(single, count):
    """Also if it has grown past the committed offset before the program starts."""
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    assert program.stop() == 0
    delete_topic(single.kafka)
    make_topic(single.kafka)
    single.publish(slots("new", count))
    check_new_topic(single, single.start(), count)


@pytest.mark.parametrize("count", [3, 20])
def test_a_topic_recreated_while_running_is_read_from_its_beginning(single, count):
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    delete_topic(single.kafka)
    make_topic(single.kafka)
    wait_until("the contradiction", lambda: log_lines(
        program, "the log contradicts the committed offset"))
    single.publish(slots("new", count))
    check_new_topic(single, program, count)


def test_a_process_whose_topic_was_deleted_stops(single):
    """librdkafka 2.0.2 never closes a client whose partition was deleted."""
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    single.cleanup.callback(make_topic, single.kafka)
    delete_topic(single.kafka)
    wait_until("the client to notice", lambda: log_lines(program, "Kafka consumer reported an error"))
    assert program.stop() == 0


def test_a_replay_by_time_names_a_deleted_topic(single):
    """And asks for no other address of Kafka, which has replied."""
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    assert program.stop() == 0
    single.cleanup.callback(make_topic, single.kafka)
    delete_topic(single.kafka)
    refused = program.command("replay", "--topic", SLOTS, "--from-time", "2026-01-01T00:00:00Z", check=False)
    assert refused.returncode == 1 and not refused.stdout
    assert refused.stderr == (f"aggregator: replay: {SLOTS}/0 is not in Kafka: the topic was deleted, or made again "
                              "with fewer partitions\n")


@pytest.fixture
def latest(single):
    """The configuration of a program that skips records older than its first start."""
    return edited_config(single.folder / "latest.lua", (
        '"KAFKA_AUTO_OFFSET_RESET", "earliest"', '"KAFKA_AUTO_OFFSET_RESET", "latest"'))


def test_latest_starts_at_the_end_when_the_partition_was_assigned(single, latest):
    """Not at the end at its first commit."""
    single.publish(slots("before", 4))
    single.query("ALTER TABLE essay_results RENAME COLUMN filename TO away")
    program = single.start(latest)
    wait_until("the outage", lambda: log_lines(program, "ingest waits for the database"))
    single.query("ALTER TABLE essay_results RENAME COLUMN away TO filename")
    wait_until("the first offset", lambda: offset_row(single)[0] == 4)
    single.query("ALTER TABLE essay_results RENAME COLUMN filename TO away")
    single.publish(slots("meanwhile", 5))
    program.kill()
    single.query("ALTER TABLE essay_results RENAME COLUMN away TO filename")
    single.start(latest)
    single.wait_committed(9)
    assert essays(single) == {f"meanwhile-{number}" for number in range(5)}


def test_latest_skips_old_records_in_partitions_of_a_worker_that_starts_later(bare_service, faulty_build,
                                                                             tmp_path):
    """One worker stores its offsets while the other one has not yet begun to read its own."""
    service, fifo = bare_service, tmp_path / "fifo"
    os.mkfifo(fifo)
    service.publish(slots("before", 12))
    service.build = faulty_build
    program = service.start(KAFKA_AUTO_OFFSET_RESET="latest", INGEST_WORKERS="2",
                            AGGREGATOR_FAULT="in_rebalance:1:HANG", AGGREGATOR_FAULT_FIFO=str(fifo))
    wait_until("the first worker's offsets", lambda: "fault: HANG" in program.log.read_text() and
               service.query("SELECT 1 FROM aggregator_state.consumer_offsets WHERE next_offset > 0"))
    os.close(os.open(fifo, os.O_WRONLY))
    wait_until("all offsets", lambda: offset_row(service)[0] == 12)
    assert essays(service) == set()


def test_latest_reads_a_partition_added_to_a_known_topic_from_its_beginning(single, latest):
    program = single.start(latest)
    wait_until("the first offset", lambda: offset_row(single)[0] == 0)
    assert program.stop() == 0
    client = AdminClient({"bootstrap.servers": single.kafka.brokers})
    client.create_partitions([NewPartitions(SLOTS, 2)])[SLOTS].result(30)
    wait_until("the partition", lambda: len(
        client.list_topics(SLOTS, timeout=120).topics[SLOTS].partitions) == 2)
    single.publish(slots("new", 20))
    single.start(latest)
    wait_until("all events", lambda: len(essays(single)) == 20)
    assert offset_row(single) == (20, 20, 0)


@pytest.mark.parametrize("counts, next_offset", [
    ((2, 0, 0, 0, 0), 1), ((1, 1, 1, 1, 1), 4), ((0, 0, 0, 0, 0), 1), ((2, 0, -1, 0, 0), 1)])
def test_the_database_refuses_more_events_than_offsets(bare_service, counts, next_offset):
    """A constraint: an offset's events cannot be counted twice."""
    bare_service.query("INSERT INTO aggregator_state.consumer_offsets (consumer_group, topic, partition, next_offset) "
                       "VALUES ('g', 't', 0, 0)")
    with pytest.raises(psycopg2.Error) as refused:
        bare_service.query("SELECT aggregator_state.advance_offset('g', 't', 0, 0, %s, now(), 's', %s, %s, %s, %s, %s)",
                           next_offset, *counts)
    assert refused.value.pgcode == "AG002"


def test_a_log_with_gaps_is_accounted_for(bare_service):
    bare_service.query("INSERT INTO aggregator_state.consumer_offsets (consumer_group, topic, partition, next_offset) "
                       "VALUES (%s, %s, 0, 5)", "g", SLOTS)
    bare_service.query("SELECT aggregator_state.advance_offset('g', %s, 0, 5, 9, now(), 's', 1, 0, 1, 0, 0)", SLOTS)
    assert offset_row(bare_service) == (9, 2, 2)


def test_options_that_would_break_offsets_are_refused(bare_service):
    config = edited_config(bare_service.folder / "own.lua", ("options = {},", """options = {
      ["enable.auto.commit"] = "true", ["auto.offset.reset"] = "latest",
      ["partition.assignment.strategy"] = "cooperative-sticky", ["group.id"] = "another" },"""))
    bare_service.publish(slots("some", 9))
    bare_service.start(config)
    bare_service.wait_committed(9)
    assert bare_service.query("SELECT DISTINCT consumer_group FROM aggregator_state.consumer_offsets") == \
        [("result_aggregator_group",)]


def markers_topic(kafka):
    """Ten events in a transaction: its marker is an offset without a record."""
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": "test"})
    producer.init_transactions()
    producer.begin_transaction()
    for event in slots("marked", 10):
        producer.produce(SLOTS, key=event["key"], value=json.dumps(event["value"]))
    producer.commit_transaction()


def lag(program):
    return program.metric("ras_consumer_lag_messages"), program.metric("ras_consumer_lag_seconds")


LOOK = "worker checked for stalled partitions"


def test_the_marker_of_a_transaction_is_no_lag(single):
    program = single.start(LOG_LEVEL="DEBUG")
    markers_topic(single.kafka)
    single.wait_committed(10)
    high = 'ras_consumer_lag_messages{topic="' + SLOTS
    wait_until("the lag to be measured", lambda: high in program.get("/metrics")[1].decode())
    wait_until("no lag", lambda: lag(program) == (0, 0))
    assert len(essays(single)) == 10
    looks = len(log_lines(program, LOOK))
    wait_until("two looks for stalled partitions",
               lambda: len(log_lines(program, LOOK)) >= looks + 2)
    assert program.metric("ras_consumer_stalls_total") == 0


def test_a_stalled_partition_is_read(bare_service, faulty_build):
    bare_service.build = faulty_build
    program = bare_service.start(AGGREGATOR_FAULT="fetch_partition:2:MISS")
    bare_service.wait_ready()
    bare_service.feed("current")
    check_view(program, "current")
    assert log_lines(program, "the kafka client does not fetch waiting records: fetching restarts")
    assert program.metric("ras_consumer_stalls_total") == 1


def test_lag_grows_while_nothing_can_be_committed(service):
    service.publish(slots("some", 3))
    service.wait_committed(3)
    service.query("ALTER TABLE essay_results RENAME COLUMN filename TO away")
    service.publish(slots("first", 1))
    wait_until("the outage", lambda: log_lines(service.program, "ingest waits for the database"))
    service.publish(slots("more", 500))
    wait_until("the lag", lambda: lag(service.program)[0] == 501)
    service.query("ALTER TABLE essay_results RENAME COLUMN away TO filename")
    service.wait_committed(504)
    wait_until("no lag", lambda: lag(service.program) == (0, 0))


SLOW = """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN PERFORM pg_sleep(%s); RETURN NEW; END $$;
          CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON essay_results FOR EACH ROW
          EXECUTE FUNCTION slow()"""


def test_transactions_that_time_out_become_smaller(bare_service):
    config = edited_config(bare_service.folder / "hasty.lua", (
        "statement_timeout_ms = 15000", "statement_timeout_ms = 500"))
    bare_service.query(SLOW, 0.002)
    bare_service.publish(slots("slow", 2000))
    program = bare_service.start(config)
    bare_service.wait_committed(2000)
    assert log_lines(program, "the transaction timed out: batches become smaller")
    assert offset_row(bare_service) == (2000, 2000, 0)


def quiet_and_busy(service):
    """The topic of one event, to which nobody writes any more; events of others take long."""
    quiet = next(record for record in read_records("current")
                 if record["topic"] == "huleedu.batch.essays.registered.v1")
    service.publish([quiet])
    service.wait_committed(1)
    service.query(SLOW, 0.01)
    return quiet["topic"]


def test_a_replay_is_detected_beside_a_busy_partition(service):
    quiet = quiet_and_busy(service)
    service.query("UPDATE aggregator_state.consumer_offsets SET applied = 0 WHERE topic = %s", quiet)
    path = service.folder / "busy.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in slots("busy", 3000)))
    feeder = service.feed(path, rate=100, wait=False)
    wait_until("the flow", lambda: offset_row(service)[0] > 100)
    service.program.command("replay", "--topic", quiet, "--from-offset", "0")
    wait_until("the replay", lambda: service.query(
        "SELECT sum(applied + superseded + duplicate) FROM aggregator_state.consumer_offsets WHERE topic = %s",
        quiet)[0][0] == 1)
    assert feeder.poll() is None, "the flow has ended before"


def test_deleted_offsets_are_detected(service):
    service.publish(slots("some", 5))
    service.wait_committed(5)
    service.query("DELETE FROM aggregator_state.consumer_offsets")
    wait_until("the events to be read again", lambda: offset_row(service)[:2] == (5, 5))

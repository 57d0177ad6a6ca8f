"""Where a partition goes on when the log is not what the committed offset says: cut by retention,
made anew, met for the first time. Nothing is lost silently, nothing is counted twice."""
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from harness import edited_config, log_lines, slot_event
from stack import wait_until

SLOTS = "huleedu.els.essay.slot.assigned.v1"
OUTCOMES = "applied + superseded + ignored + duplicate + rejected"


def slots(prefix, count):
    return [slot_event("a-batch", f"{prefix}-{number}", "a file", number)
            for number in range(count)]


def essays(service):
    return {essay for essay, in service.query("SELECT essay_id FROM essay_results")}


def offset_row(service):
    """(next offset, events counted, offsets skipped), summed over the topic's partitions; -1 each
    where it has none."""
    return tuple(map(int, service.query(
        f"SELECT coalesce(sum(next_offset), -1), coalesce(sum({OUTCOMES}), -1), "
        "coalesce(sum(skipped), -1) FROM consumer_offsets WHERE topic = %s", SLOTS)[0]))


def delete_topic(kafka):
    client = AdminClient({"bootstrap.servers": kafka.brokers})
    for future in client.delete_topics([SLOTS]).values():
        future.result(30)
    wait_until("the topic to be gone", lambda: SLOTS not in client.list_topics(timeout=10).topics)


def make_topic(kafka, partitions=1):
    client = AdminClient({"bootstrap.servers": kafka.brokers})
    for future in client.create_topics([NewTopic(SLOTS, partitions, 1)]).values():
        future.result(30)


@pytest.fixture
def single(make_service, cleanup, apache):
    """A service on an Apache Kafka whose topic of slots has one partition; no program yet."""
    delete_topic(apache)
    make_topic(apache)
    return make_service(cleanup, apache, redis="none")


def cut(service, offset):
    """Has Kafka delete what lies in front of the offset, as its retention does."""
    subprocess.run([service.build / "cut_log", service.kafka.brokers, SLOTS, "0", str(offset)],
                   check=True)


def test_what_retention_deleted_before_it_was_read_is_told_and_counted(single):
    program = single.start()
    single.publish(slots("early", 10))
    single.wait_committed(10)
    assert program.stop() == 0
    single.publish(slots("gone", 30) + slots("late", 10))
    cut(single, 40)
    program = single.start()
    single.wait_committed(50)
    assert offset_row(single) == (50, 20, 30)
    assert program.metric("ras_deleted_messages_total") == 30
    line, = log_lines(program, "events were deleted by Kafka before they were read")
    assert (line["committed"], line["goes_on_at"]) == (10, 40)
    assert essays(single) == {f"early-{n}" for n in range(10)} | {f"late-{n}" for n in range(10)}


def check_new_topic(service, program, count):
    wait_until("the new topic's events", lambda: essays(service) >= {
        f"new-{number}" for number in range(count)})
    assert offset_row(service) == (count, 5 + count, 0)
    line, = log_lines(program, "the log is another one than was read: it is read from its beginning")
    assert (line["committed"], line["goes_on_at"]) == (5, 0)


@pytest.mark.parametrize("count", [3, 20])
def test_a_topic_made_anew_while_nothing_runs_is_read_from_its_beginning(single, count):
    """Also where it has grown past the committed offset before anybody looks."""
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    assert program.stop() == 0
    delete_topic(single.kafka)
    make_topic(single.kafka)
    single.publish(slots("new", count))
    check_new_topic(single, single.start(), count)


@pytest.mark.parametrize("count", [3, 20])
def test_a_topic_made_anew_under_the_program_is_read_from_its_beginning(single, count):
    program = single.start()
    single.publish(slots("old", 5))
    single.wait_committed(5)
    delete_topic(single.kafka)
    make_topic(single.kafka)
    wait_until("the contradiction", lambda: log_lines(
        program, "the log contradicts the committed offset"))
    single.publish(slots("new", count))
    check_new_topic(single, program, count)


@pytest.fixture
def latest(single):
    """The configuration file of a program that does not read what was there before it."""
    return edited_config(single.folder / "latest.lua", (
        '"KAFKA_AUTO_OFFSET_RESET", "earliest"', '"KAFKA_AUTO_OFFSET_RESET", "latest"'))


def test_latest_begins_at_the_end_that_was_there_when_the_partition_was_met(single, latest):
    """And not at the end that is there when it can commit for the first time."""
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


def test_latest_reads_a_partition_that_a_known_topic_has_got_from_its_beginning(single, latest):
    program = single.start(latest)
    wait_until("the first offset", lambda: offset_row(single)[0] == 0)
    assert program.stop() == 0
    client = AdminClient({"bootstrap.servers": single.kafka.brokers})
    client.create_partitions([NewPartitions(SLOTS, 2)])[SLOTS].result(30)
    wait_until("the partition", lambda: len(
        client.list_topics(SLOTS, timeout=10).topics[SLOTS].partitions) == 2)
    single.publish(slots("new", 20))
    single.start(latest)
    wait_until("all events", lambda: len(essays(single)) == 20)
    assert offset_row(single) == (20, 20, 0)

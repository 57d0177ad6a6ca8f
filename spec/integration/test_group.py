"""The program as a member of its consumer group: assignments, other members, and brokers that
move."""
import signal
import subprocess
import sys

import pytest
import stack
from confluent_kafka import Consumer, TopicPartition
from harness import edited_config, log_lines, slot_event
from stack import wait_until

GROUP = "result_aggregator_group"
PARTITIONS = 3 * (len(stack.topics()) - 1)  # of the topics that handlers declare


# A member that gets partitions and polls no more: a process of its own, which is killed, since to
# close a client in that state may take for ever (librdkafka 2.0).
SILENT_MEMBER = """
import sys, time
from confluent_kafka import Consumer
brokers, group, topic = sys.argv[1:]
member = Consumer({"bootstrap.servers": brokers, "group.id": group,
                   "partition.assignment.strategy": "range", "session.timeout.ms": 45000,
                   "max.poll.interval.ms": 45000})
member.subscribe([topic])
while not member.assignment():
    member.poll(0.1)
print("assigned", flush=True)
time.sleep(3600)
"""


def slots(prefix, count):
    return [slot_event("a-batch", f"{prefix}-{number}", "a file", number % 3600)
            for number in range(count)]


def config_with(service, name, options):
    """A configuration file with these options of Kafka's client."""
    text = ", ".join(f'["{key}"] = "{value}"' for key, value in options.items())
    return edited_config(service.folder / f"{name}.lua", ("options = {},",
                                                          f"options = {{ {text} }},"))


def rebalances(program):
    return [line for line in log_lines(program)
            if line["message"] in ("partitions assigned", "partitions revoked")]


def held(*programs):
    """The number of partitions of each worker that has had any."""
    return [count for program in programs for count in {
        line["worker"]: line["has"] for line in rebalances(program)}.values()]


def wait_shared(*programs):
    """Until the programs have all partitions, and each of them has some."""
    wait_until("all partitions to be assigned", lambda: sum(held(*programs)) == PARTITIONS and
               all(sum(held(program)) > 0 for program in programs))


def test_a_broker_that_restarts_under_another_address_is_found(
        make_service, cleanup, apache):
    service = make_service(cleanup, apache, redis="none")
    first = apache.brokers
    second_port = stack.free_port()
    program = service.start(KAFKA_BOOTSTRAP_SERVERS=f"{first},127.0.0.1:{second_port}")
    service.publish(slots("before", 5))
    service.wait_committed(5)
    apache.move(second_port)
    service.publish(slots("after", 5))
    wait_until("the events behind the move", lambda: service.committed_events() == 10)
    wait_until("readiness", lambda: program.get("/readyz")[0] == 200)


def test_every_worker_gets_as_many_partitions_as_any_other(bare_service):
    """All topics have three partitions: the range assignor leaves a fourth worker without any."""
    program = bare_service.start(INGEST_WORKERS="4")
    wait_until("four workers with partitions", lambda: len(held(program)) == 4 and
               sum(held(program)) == PARTITIONS and min(held(program)) > 0, 60)
    assert max(held(program)) - min(held(program)) <= 1


@pytest.mark.parametrize("assignor", ["roundrobin", "range"])
def test_the_group_is_joined_beside_a_member_that_offers_one_assignor(
        make_service, cleanup, apache, assignor):
    """aiokafka's members offer roundrobin; earlier releases of this program offered range."""
    other = Consumer({"bootstrap.servers": apache.brokers, "group.id": GROUP,
                      "partition.assignment.strategy": assignor})
    cleanup.callback(other.close)
    other.subscribe([topic for topic in stack.topics() if topic != stack.UNREAD_TOPIC])
    wait_until("the other member's partitions", lambda: other.poll(0.1) or other.assignment(), 60)
    service = make_service(cleanup, apache, redis="none")
    program = service.start()

    def shared():
        other.poll(0.1)
        mine = sum(held(program))
        return 0 < mine < PARTITIONS and mine + len(other.assignment()) == PARTITIONS

    wait_until("both to have partitions", shared, 60)


def test_a_cooperative_assignor_takes_only_what_another_member_gets(
        make_service, cleanup, apache):
    service = make_service(cleanup, apache, redis="none")
    config = config_with(service, "cooperative",
                         {"partition.assignment.strategy": "cooperative-sticky"})
    first = service.start(config)
    service.publish(slots("one", 50))
    service.wait_committed(50)
    second = service.start(config)
    wait_until("the second to have partitions", lambda: held(second) and min(held(second)) > 0, 60)
    wait_shared(first, second)
    revoked = [line for line in rebalances(first) if line["message"] == "partitions revoked"]
    assert revoked and all(0 < line["partitions"] and line["has"] > 0 for line in revoked)
    service.publish(slots("two", 50))
    service.wait_committed(100)
    assert first.stop() == 0
    wait_shared(second)
    service.publish(slots("three", 50))
    service.wait_committed(150)
    assert service.query("SELECT sum(applied), sum(skipped) FROM aggregator_state.consumer_offsets") == [(150, 0)]
    assert second.stop() == 0


def test_each_worker_is_a_static_member_of_its_own(make_service, cleanup, apache):
    """A restart moves no partition."""
    service = make_service(cleanup, apache, redis="none")
    config = config_with(service, "static", {"group.instance.id": "one"})
    program = service.start(config, INGEST_WORKERS="2")
    wait_until("each worker's partitions", lambda: all(held(program)) and len(held(program)) == 2 and
               sum(held(program)) == PARTITIONS, 60)
    service.publish(slots("some", 50))
    service.wait_committed(50)
    other = service.start(config_with(service, "other", {"group.instance.id": "two"}))
    wait_until("the other's partitions", lambda: held(other))
    before = len(rebalances(other))
    assert program.stop() == 0
    program.start()
    service.publish(slots("more", 50))
    service.wait_committed(100)
    assert len(rebalances(other)) == before


def restarts(program, reason):
    return program.metric(f'ras_kafka_client_restarts_total{{reason="{reason}"}}')


def test_two_processes_with_one_group_instance_id_are_reported(make_service, cleanup, apache):
    """Each ends the other's membership, at growing intervals."""
    service = make_service(cleanup, apache, redis="none")
    config = config_with(service, "one", {"group.instance.id": "one"})
    first = service.start(config)
    wait_shared(first)
    second = service.start(config)
    wait_until("a fenced member", lambda: restarts(first, "fenced"), 60)
    wait_until("the reason", lambda: any(
        b"another process joined the group with this group.instance.id" in program.get("/readyz")[1]
        for program in (first, second)), 60)
    assert second.stop() == 0
    service.publish(slots("some", 20))
    service.wait_committed(20)
    assert restarts(first, "fenced") < 10


def test_a_worker_that_the_group_forgets_opens_another_client_at_a_bounded_rate(
        make_service, cleanup, apache):
    """A member that does not poll delays the group's agreement."""
    other = subprocess.Popen(stack.tethered([sys.executable, "-c", SILENT_MEMBER, apache.brokers,
                                             GROUP, stack.topics()[0]]),
                             stdout=subprocess.PIPE, text=True)
    cleanup.callback(other.kill)
    assert other.stdout.readline() == "assigned\n"
    service = make_service(cleanup, apache, redis="none")
    program = service.start(config_with(service, "impatient", {"max.poll.interval.ms": "6000"}))
    wait_until("another client", lambda: restarts(program, "unassigned") >= 1, 60)
    service.publish(slots("some", 20))
    service.wait_committed(20)
    assert restarts(program, "unassigned") < 5


def offsets_in_kafka(service, partitions):
    """The group's offsets in Kafka, which lag tools read."""
    client = Consumer({"bootstrap.servers": service.kafka.brokers, "group.id": GROUP})
    try:
        return {(at.topic, at.partition): at.offset for at in client.committed(
            [TopicPartition(topic, number) for topic, number in partitions], timeout=120)}
    finally:
        client.close()


def offsets_in_database(service):
    return {(topic, partition): offset for topic, partition, offset in service.query(
        "SELECT topic, partition, next_offset FROM aggregator_state.consumer_offsets WHERE next_offset >= 0")}


def test_the_offsets_in_kafka_follow_when_all_is_read(service):
    """Also of partitions without an event, and of the last of many transactions."""
    service.publish(slots("many", 6000))
    service.wait_committed(6000)
    committed = offsets_in_database(service)
    assert len(committed) == PARTITIONS
    wait_until("Kafka's offsets", lambda: offsets_in_kafka(service, committed) == committed, 15)


def test_the_offsets_in_kafka_are_right_when_the_program_has_stopped(service):
    for number in range(3):
        service.publish(slots(f"some-{number}", 20))
        service.wait_committed(20 * (number + 1))
    assert service.program.stop() == 0
    committed = offsets_in_database(service)
    assert offsets_in_kafka(service, committed) == committed


def test_stopping_does_not_wait_for_a_silent_kafka(service):
    service.publish(slots("some", 20))
    service.wait_committed(20)
    service.kafka.send(signal.SIGSTOP)
    try:
        assert service.program.stop(15) == 0
    finally:
        service.kafka.send(signal.SIGCONT)

"""Records that cannot be read from Kafka: the partition waits with its reason, others go on, and
only an operator can skip records."""
import json

import raw_batches
from harness import log_lines, slot_event
from stack import wait_until

TOPIC = "huleedu.els.essay.slot.assigned.v1"
GROUP = "result_aggregator_group"
SKIP = "SELECT aggregator_state.move_offset(%s, %s, %s, %s, %s)"


def kafka_of(program, path="/readyz"):
    status, body, _ = program.get(path)
    return status, json.loads(body)["dependencies"]["kafka"]


def waiting(program):
    """{partition: what /readyz says of it}"""
    return {wait["partition"]: wait for wait in kafka_of(program)[1]["waiting"]}


def essays(service):
    return service.query("SELECT count(*) FROM essay_results")[0][0]


def test_a_batch_that_cannot_be_unpacked_keeps_its_partition_waiting_and_no_other(bare_service):
    service = bare_service
    broken = {0: raw_batches.batch(b"packed by a codec to come", 7, attributes=6),
              1: raw_batches.batch(b"no gzip", 3, attributes=1),
              2: raw_batches.batch(b"\x00" * 20, 1, crc_error=1)}
    for partition in (0, 1):
        raw_batches.publish(service.kafka.brokers, TOPIC, partition, broken[partition])
    events = [slot_event("batch", f"essay-{number}", f"{number}.txt") for number in range(60)]
    service.publish(events)
    program = service.start()
    service.wait_ready()
    wait_until("two waiting partitions", lambda: len(waiting(program)) == 2)
    wait_until("the third partition's events", lambda: essays(service) > 0)
    assert essays(service) < len(events)
    # One more, behind what was read: the events before it are kept.
    before = essays(service)
    raw_batches.publish(service.kafka.brokers, TOPIC, 2, broken[2])
    wait_until("three waiting partitions", lambda: len(waiting(program)) == 3)
    assert essays(service) == before

    said = waiting(program)
    assert {wait["topic"] for wait in said.values()} == {TOPIC}
    assert {wait["cause"] for wait in said.values()} == {"kafka"}
    assert [said[number]["offset"] for number in (0, 1)] == [0, 0]
    assert "unknown format" in said[0]["reason"] and "decompressed" in said[1]["reason"]
    assert "damaged" in said[2]["reason"]
    status, kafka = kafka_of(program)
    assert (status, kafka["status"]) == (200, "degraded")
    assert kafka_of(program, "/readyz/consume")[0] == 503
    assert program.metric("ras_ingest_waiting_topics") == 1
    assert TOPIC in program.command("status", "--json", check=False).stdout

    # The operator passes by what is lost: batches of 7, 3 and 1 records.
    for partition, past in ((0, 7), (1, 3), (2, said[2]["offset"] + 1)):
        service.query(SKIP, GROUP, TOPIC, partition, said[partition]["offset"], past)
    wait_until("all other events", lambda: essays(service) == len(events))
    wait_until("no partition waits", lambda: not waiting(program))
    assert kafka_of(program, "/readyz/consume")[0] == 200
    assert service.query("SELECT sum(skipped) FROM aggregator_state.consumer_offsets WHERE topic = %s", TOPIC) == \
        [(11,)]
    lines = log_lines(program, "a partition waits: its records cannot be read")
    assert sorted(line["partition"] for line in lines) == [0, 1, 2]
    assert len(log_lines(program, "a partition resumed")) == 3

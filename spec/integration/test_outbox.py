"""The outbox of the running program: each message reaches Kafka once without kills, and repeated
with the same bytes after a kill, in order per key. Also the operator's commands."""
import collections
import json

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from harness import edited_config
from stack import wait_until

TOPIC = "outbox.facts.v1"
KEYS = 7
POINTS = ("outbox_produced", "outbox_acknowledged", "outbox_noted")


def store(service, first, last, padding=0):
    """Messages with the numbers first to last, over a few keys, as a handler's batch stores them.
    The bytes of `padding` lie in front of the number."""
    service.query(
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, headers, fact_at, source, scripts) "
        "SELECT 'fact ' || n, %s, 'key ' || n %% %s, convert_to(repeat(' ', %s) || n, 'UTF8'), "
        "jsonb_build_object('event_id', 'fact ' || n), now(), 'handlers/t', 'h' "
        "FROM generate_series(%s, %s) AS n ORDER BY n", TOPIC, KEYS, padding, first, last)


def counts(service):
    return dict(service.query("SELECT state, count(*) FROM aggregator_state.outbox GROUP BY state"))


def wait_sent(service, count):
    wait_until(f"{count} messages to be sent", lambda: counts(service) == {"sent": count})


class Reader:
    """A consumer that counts: reads all of the topic's partitions from their beginning."""

    def __init__(self, brokers, cleanup):
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": brokers, "group.id": "reader", "enable.auto.commit": False,
             "topic.metadata.refresh.interval.ms": 1000})
        cleanup.callback(self.consumer.close)
        self.records = []  # (key, number, event id), in order of each partition

    def assign(self):
        topic = self.consumer.list_topics(TOPIC, 30).topics[TOPIC]
        self.consumer.assign([confluent_kafka.TopicPartition(TOPIC, number, 0)
                              for number in topic.partitions])
        return self

    def read(self):
        """Reads until no record is left."""
        while (message := self.consumer.poll(0.3)) is not None:
            if not message.error():
                headers = dict(message.headers())
                self.records.append((message.key().decode(), int(message.value()),
                                     headers["event_id"].decode()))
        return self.records

    def wait(self, count):
        wait_until(f"{count} records", lambda: len(self.read()) >= count, interval_s=0)
        return self.read()


def check_each_once_in_order(records, count):
    assert sorted(number for _, number, _ in records) == list(range(1, count + 1))
    last = collections.defaultdict(int)
    for key, number, _ in records:
        assert number > last[key], (key, number)
        last[key] = number


# ---- commands -----------------------------------------------------------------------------------

@pytest.fixture
def outbox(bare_service):
    """Six messages, one of them refused by Kafka, and the commands; no process publishes."""
    program = bare_service.prepare()
    store(bare_service, 1, 6)
    bare_service.query("UPDATE aggregator_state.outbox SET state = 'failed', done_at = now(), attempts = 1, "
                       "error = 'too large' WHERE id = 2")
    bare_service.query("UPDATE aggregator_state.outbox SET state = 'sent', done_at = now() WHERE id = 1")

    def run(*words, check=True):
        return program.command("outbox", *words, check=check)
    return run


def states(service):
    return [state for state, in service.query("SELECT state FROM aggregator_state.outbox ORDER BY id")]


def test_messages_are_listed_and_shown(outbox):
    lines = outbox("list").stdout.splitlines()
    assert lines[-1] == "6 messages" and lines[0].startswith("6  ")
    assert lines[4].split("  ")[2:] == ["failed", TOPIC, "key 2", "fact 2", "too large"]
    assert outbox("list", "--state", "failed").stdout.endswith("\n1 message\n")
    assert outbox("list", "--key", "key 3", "--limit", "1").stdout.endswith("\n1 message\n")
    shown = dict(line.split(None, 1) for line in outbox("show", "2").stdout.splitlines()
                 if len(line.split(None, 1)) == 2)
    assert shown["error"] == "too large" and shown["value"] == "2" and shown["attempts"] == "1"
    assert json.loads(shown["headers"]) == {"event_id": "fact 2"}
    whole = outbox("show", "2").stdout
    assert outbox("show", "fact 2").stdout == outbox("show", "FACT 2").stdout == whole
    failed = outbox("show", "2", "77", check=False)
    assert failed.returncode == 1 and "no such message in the outbox: 77" in failed.stderr


def test_refused_messages_are_retried_and_dropped_ones_stay_known(bare_service, outbox):
    failed = outbox("retry", "1", check=False)
    assert failed.returncode == 1 and "none of the selected messages is failed" in failed.stderr
    assert outbox("retry", "--all").stdout.endswith("\n1 message is now pending\n")
    assert states(bare_service) == ["sent"] + 5 * ["pending"]
    assert outbox("drop", "3").stdout.endswith("\n1 message is now settled and will not be sent\n")
    assert states(bare_service)[2] == "settled"
    assert bare_service.query("SELECT error FROM aggregator_state.outbox WHERE id = 3") == \
        [("dropped by an operator",)]
    assert outbox("drop", check=False).returncode == 2
    store(bare_service, 7, 9)
    refused = outbox("drop", "--topic", TOPIC, check=False)  # more than a handful
    assert refused.returncode == 1 and "--yes" in refused.stderr
    assert outbox("drop", "--topic", TOPIC, "--yes").stdout.endswith("7 messages are now settled and will not be sent\n")
    assert counts(bare_service) == {"sent": 1, "settled": 8}


# ---- Kafka --------------------------------------------------------------------------------------

def test_a_broker_down_and_back_gets_each_message_once(make_service, cleanup, apache):
    """Two processes run throughout; one's messages in flight are not sent by the other."""
    service = make_service(cleanup, kafka=apache)
    programs = [service.start(), service.start()]
    for program in programs:
        service.wait_ready(program)
    store(service, 1, 500)
    wait_sent(service, 500)
    reader = Reader(apache.brokers, cleanup).assign()
    for part, end in enumerate((apache.kill, apache.stop), 1):
        store(service, part * 1000 - 499, part * 1000)
        end()
        store(service, part * 1000 + 1, part * 1000 + 500)
        wait_until("a look at the outbox", lambda: all(
            program.ask("status")["outbox"]["pending"] > 0 for program in programs))
        apache.start()
        wait_sent(service, part * 1000 + 500)
    check_each_once_in_order(reader.wait(2500), 2500)
    publishing = [program.ask("status")["outbox"]["publishes"] for program in programs]
    assert sorted(publishing) == [False, True]


def test_messages_behind_requests_that_kafka_refuses_stay_behind(make_service, cleanup, apache):
    """The first requests of both partitions are too large together: their messages are sent alone."""
    admin = AdminClient({"bootstrap.servers": apache.brokers})
    topic = NewTopic(TOPIC, 2, 1, config={"max.message.bytes": "1000"})
    admin.create_topics([topic])[TOPIC].result(timeout=120)
    service = make_service(cleanup, kafka=apache)
    store(service, 1, 20, padding=500)
    store(service, 21, 200)
    config = edited_config(service.folder / "few.lua", (
        "options = {},", 'options = { ["batch.num.messages"] = "2" },'))
    service.wait_ready(service.start(config))
    reader = Reader(apache.brokers, cleanup).assign()
    check_each_once_in_order(reader.wait(200), 200)
    wait_sent(service, 200)
    assert service.query("SELECT max(attempts) > 0 FROM aggregator_state.outbox") == [(True,)]


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_repeats_messages_and_changes_none(bare_service, faulty_build, cleanup, point):
    bare_service.build = faulty_build
    store(bare_service, 1, 300)
    program = bare_service.prepare(AGGREGATOR_FAULT=f"{point}:1:KILL").start(wait=False)
    wait_until("the kill", lambda: not program.running())
    store(bare_service, 301, 600)
    bare_service.start()
    wait_sent(bare_service, 600)
    records = Reader(bare_service.kafka.brokers, cleanup).assign().wait(600)
    if point == "outbox_acknowledged":  # Kafka has them, and no row says so
        assert len(records) > 600
    contents = collections.defaultdict(set)
    for key, number, event_id in records:
        contents[event_id].add((key, number))
    assert contents == {f"fact {n}": {(f"key {n % KEYS}", n)} for n in range(1, 601)}
    firsts = list(dict.fromkeys(records))  # what a consumer keeps that remembers ids
    check_each_once_in_order(firsts, 600)

"""Reactions in the running program: a fact that a commit makes true is in the outbox soon after it,
once, for any order and repetition of events."""
import json
import shutil

import confluent_kafka
import pytest
from harness import log_lines, slot_event
from stack import ROOT, wait_until

QUERY = """SELECT e.essay_id AS key, e.filename,
  (extract(epoch FROM now()) * 1000000)::bigint AS now_us
FROM essay_results e WHERE e.essay_id = ANY(:keys::text[])
"""
REACTION = """return {
  follows = { essay_results = "essay_id" },
  query = "reaction_named",
  publish = function(row)
    %s
    return {
      topic = "essays.named.v1",
      key = row.key,
      value = { essay_id = row.key, filename = row.filename },
      identity = row.key .. " is named " .. row.filename,
      at = row.now_us,
    }
  end,
}
"""


class Reacting:
    """A service whose scripts have one reaction of a test's own."""

    def __init__(self, service, slip=""):
        self.service = service
        self.scripts, self.sql = service.folder / "scripts", service.folder / "sql"
        shutil.copytree(ROOT / "scripts", self.scripts)
        shutil.copytree(ROOT / "sql", self.sql)
        (self.scripts / "reactions").mkdir(exist_ok=True)
        (self.sql / "queries/reaction_named.sql").write_text(QUERY)
        self.write(slip)
        self.program = service.start(SCRIPTS_ROOT=str(self.scripts), SQL_ROOT=str(self.sql),
                                     SCRIPTS_TRIAL_S="0")
        service.wait_ready()

    def write(self, slip):
        (self.scripts / "reactions/named.lua").write_text(REACTION % slip)

    def stored(self):
        return self.service.query("SELECT identity FROM aggregator_state.outbox WHERE source = 'reactions/named' "
                                  "ORDER BY id")

    def marks(self):
        return self.service.query("SELECT key, attempts, error FROM aggregator_state.reaction_marks "
                                  "WHERE reaction = 'reactions/named' ORDER BY id")


@pytest.fixture
def reacting(bare_service):
    return lambda slip="": Reacting(bare_service, slip)


def test_each_committed_fact_is_in_the_outbox_once(reacting):
    world = reacting()
    events = [slot_event("b", f"essay {n}", f"file {n}") for n in range(3)]
    world.service.publish(events + events)
    world.service.wait_committed(6)
    wait_until("the marks are worked off", lambda: world.marks() == [])
    assert sorted(world.stored()) == [(f"essay {n} is named file {n}",) for n in range(3)]
    world.service.publish([slot_event("b", "essay 0", "other", 5)])
    wait_until("the new name", lambda: world.stored()[-1] == ("essay 0 is named other",))
    assert world.program.ask("status")["reactions"]["failures"] == 0


def publish_traced(brokers, topic, records):
    """records: (value, traceparent)."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers})
    for value, traceparent in records:
        producer.produce(topic, value, "b", headers={"traceparent": traceparent})
    assert producer.flush(30) == 0


def traceparents(brokers, topic, count, cleanup):
    """{key: header} of the topic's first records; None where one has no such header."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "reader"})
    cleanup.callback(consumer.close)
    numbers = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in numbers])
    found = {}

    def read():
        record = consumer.poll(0.3)
        if record is not None and not record.error():
            found[record.key()] = dict(record.headers() or []).get("traceparent")
        return len(found) == count

    wait_until(f"{count} records", read, interval_s=0)
    return found


def test_the_trace_of_an_event_is_in_its_messages_and_log_lines(reacting, cleanup):
    world = reacting()
    good, bad = (f"00-{digit * 32}-00f067aa0ba902b7-01" for digit in "12")
    event, other = slot_event("b", "essay", "file"), slot_event("b", "other", "file")
    publish_traced(world.service.kafka.brokers, event["topic"],
                   [(json.dumps(event["value"]), good), ("{", bad),
                    (json.dumps(other["value"]), good.upper())])
    wait_until("both messages to be sent", lambda: sorted(world.service.query(
        "SELECT key, traceparent FROM aggregator_state.outbox WHERE source = 'reactions/named' AND "
        "state = 'sent'")) == [("essay", good), ("other", None)])
    assert traceparents(world.service.kafka.brokers, "essays.named.v1", 2, cleanup) == {
        b"essay": good.encode(), b"other": None}
    line, = log_lines(world.program, "event rejected")
    assert line["trace_id"] == "2" * 32


def test_the_trace_of_a_rejected_event_is_kept_for_its_retry(reacting):
    world = reacting()
    trace = f"00-{'3' * 32}-00f067aa0ba902b7-01"
    event = slot_event("b", "late", "file")
    publish_traced(world.service.kafka.brokers, event["topic"], [("{", f"cc{trace[2:]}")])
    wait_until("the rejection", lambda: log_lines(world.program, "event rejected"))
    (key,), = world.service.query("SELECT topic || '/' || partition || '/' || \"offset\" "
                                  "FROM aggregator_state.rejected_events")
    assert f"\ntraceparent     {trace}\n" in world.program.command("rejected", "show", key).stdout
    world.service.query("UPDATE aggregator_state.rejected_events SET raw = convert_to(%s, 'UTF8')",
                        json.dumps(event["value"]))  # as if the scripts had been mended
    assert "1 applied" in world.program.command("rejected", "retry", key).stdout
    wait_until("its message", lambda: world.service.query(
        "SELECT traceparent FROM aggregator_state.outbox WHERE key = 'late'") == [(trace,)])


def test_a_failing_reaction_is_logged_and_a_reload_repairs_it(reacting):
    world = reacting("if row.filename == 'bad' then error('no such name') end")
    world.service.publish([slot_event("b", "one", "bad"), slot_event("b", "two", "good")])
    wait_until("the good one", lambda: ("two is named good",) in world.stored())
    wait_until("the mark of the bad one waits", lambda: [m[1] for m in world.marks()] == [1])
    assert "named.lua:5" in world.marks()[0][2]
    reported = world.program.ask("status")["reactions"]
    assert reported["failures"] == 1 and "no such name" in reported["last_failure"]
    line, = [line for line in log_lines(world.program) if line.get("reaction") == "reactions/named"]
    assert (line["level"], line["key"], line["message"]) == (
        "error", "one", "a reaction failed for a key, which is retried later: correct the script and reload")
    assert "named.lua:5" in line["error"]
    world.write("")
    assert world.program.ask("reload")["done"] is True
    wait_until("the mended one", lambda: ("one is named bad",) in world.stored())
    assert world.program.ask("status")["reactions"]["last_failure"] is None


def test_a_start_with_mended_scripts_tries_failed_keys_at_once(reacting):
    world = reacting("error('no such name')")
    world.service.publish([slot_event("b", "one", "bad")])
    wait_until("the failed key", lambda: [1 for mark in world.marks() if mark[2]])
    assert world.program.stop() == 0
    world.service.query("UPDATE aggregator_state.reaction_marks SET retry_at = now() + interval '1 hour'")
    world.write("")
    world.program.start()
    wait_until("the mended one", lambda: world.stored() == [("one is named bad",)])


def test_rows_that_a_rebuild_changes_are_marked(reacting):
    world = reacting()
    world.service.publish([slot_event("b", f"essay {n}", f"file {n}") for n in range(3)])
    wait_until("all are stored", lambda: len(world.stored()) == 3)
    world.service.query("DELETE FROM aggregator_state.outbox")
    world.service.query("UPDATE essay_results SET filename = 'wrong' WHERE essay_id = 'essay 1'")
    world.program.command("rebuild", "--yes")
    wait_until("what was mended is told", lambda: world.stored() == [("essay 1 is named file 1",)])
    assert world.marks() == []

"""docs/REPLACING.md: beside the service that this one replaces, cut over, and back. Its stand-in reads the
same topics in its own group, and keeps its offsets in Kafka."""
import json
import re

import confluent_kafka
import published
import pytest
from harness import read_records
from outgoing_forms import READY
from stack import ROOT, topics, wait_until

OLD_GROUP = "result_aggregator_group"
BESIDE = {"KAFKA_CONSUMER_GROUP_ID": f"{OLD_GROUP}_c", "OUTBOX_ENABLED": "false",
          "OUTBOX_HORIZON_HOURS": "876000"}  # the samples' facts are old


class OldService:
    """Reads its group's records from where it stopped, and commits in Kafka."""

    def __init__(self, brokers):
        self.brokers = brokers

    def read(self, count):
        """The next records, as (topic, partition, offset)."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.brokers, "group.id": OLD_GROUP, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "session.timeout.ms": 6000,  # for which the embedded broker waits
            "partition.assignment.strategy": "roundrobin"})
        consumer.subscribe(topics()[:-1])
        places = []

        def poll():
            record = consumer.poll(0.1)
            if record and not record.error():
                places.append((record.topic(), record.partition(), record.offset()))
            return len(places) >= count
        try:
            wait_until(f"{count} records of the old service", poll, interval_s=0)
            consumer.commit(asynchronous=False)
        finally:
            consumer.close()
        return places


def batch_of(record):
    data = record["value"]["data"]
    return data.get("batch_id") or data.get("entity_id")


@pytest.fixture
def halves():
    """The records of two sets of batches, and the ids of the second."""
    records = read_records("current")
    batches = sorted({batch_of(record) for record in records})
    later = set(batches[len(batches) // 2:])
    return [[record for record in records if (batch_of(record) in later) == second]
            for second in (False, True)], later


def outbox_states(service):
    return dict(service.query("SELECT state, count(*) FROM aggregator_state.outbox GROUP BY state"))


def wait_stored(service, records):
    service.wait_committed(records)
    wait_until("the marks", lambda: service.query("SELECT count(*) FROM aggregator_state.reaction_marks") == [(0,)])


def test_a_migrate_in_the_old_services_database_is_removed_by_the_pages_statements(make_service, cleanup):
    service = make_service(cleanup, redis="none", migrate=False)
    statements = re.search(r"`(DROP SCHEMA aggregator_state [^`]*)`",
                           (ROOT / "docs/REPLACING.md").read_text())[1]
    for table in ("batch_results", "essay_results"):
        service.query(f"CREATE TABLE {table} (id int)")
    refused = service.prepare().command("migrate", check=False)
    assert refused.returncode == 1
    assert 'relation "batch_results" already exists' in refused.stderr
    service.query(statements)
    assert service.query("SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_|information_schema' "
                         "ORDER BY 1, 2") == [("public", "batch_results"), ("public", "essay_results")]
    assert service.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'aggregator_state'") == [(0,)]


def test_the_steps_lead_over_and_back_and_each_fact_is_published_by_one_of_both(bare_service, halves, cleanup):
    service, ((before, after), later) = bare_service, halves
    old = OldService(service.kafka.brokers)
    # 1. Start beside
    program = service.prepare(**BESIDE)
    assert "database: good" in program.command("check").stdout
    program.start()
    service.publish(before)
    wait_stored(service, len(before))
    service.wait_ready()
    seen = old.read(len(before))
    assert program.get("/readyz/consume")[0] == 200
    wait_until("no lag", lambda: program.metric("ras_consumer_lag_messages") == 0)
    assert "0 rejected events" in program.command("rejected", "list").stdout
    assert program.command("verify").stdout.endswith("the view matches the log\n")
    assert set(outbox_states(service)) == {"pending"}, "the old service publishes"
    # 4. Publish from here
    program.command("outbox", "drop", "--all", "--yes")
    assert program.stop() == 0
    program.env["OUTBOX_ENABLED"] = "true"
    program.start()
    service.publish(after)
    wait_stored(service, len(before) + len(after))
    wait_until("the messages", lambda: "pending" not in outbox_states(service))
    assert program.ask("status")["outbox"]["publishes"] is True
    reader = published.Reader(service.kafka.brokers)
    cleanup.callback(reader.close)
    messages = reader.read()
    assert {published.batch_of(message) for message in messages} <= later
    assert {message.key for message in messages if message.topic == READY} == {
        json.loads(value)["data"]["batch_id"] for value, in service.query(
            "SELECT convert_from(value, 'UTF8') FROM aggregator_state.outbox WHERE topic = %s AND state = 'sent'",
            READY)} != set()
    # Going back, after it
    assert program.stop() == 0
    assert not set(seen) & set(old.read(len(after))), "it reads what came since it stopped"

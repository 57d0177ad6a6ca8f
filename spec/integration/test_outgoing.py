"""Messages of the running program for other services: each fact of the view once, in the contract's
form, for any order and repetition of events."""
import json
import random
import uuid

import confluent_kafka
import outgoing_forms
import published
import pytest
from harness import expectations, log_lines, read_records
from outgoing_forms import JUDGED, NOTIFIED, READY
from stack import wait_until

ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000"}  # the samples' facts are old


@pytest.fixture
def service(bare_service):
    bare_service.start(**ALL_HISTORY)
    bare_service.wait_ready()
    return bare_service


@pytest.fixture
def reader(service, cleanup):
    reader = published.Reader(service.kafka.brokers)
    cleanup.callback(reader.close)
    return reader


def wait_published(service):
    wait_until("the marks are worked off, and the outbox is sent", lambda: service.query(
        "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks), "
        "(SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')") == [(0, 0)])


def said_of(messages, topic):
    """Of a topic, in order: (key, value)."""
    return [(message.key, json.loads(message.value)) for message in messages
            if message.topic == topic]


def check_facts(service, stream, messages):
    """The messages are the stream's facts, each once."""
    assert published.check(messages, service.query(published.ROWS)) == []
    assert published.repeats(messages) == 0
    expected = expectations(stream)
    ended = {batch_id: batch for batch_id, batch in expected.items()
             if batch["result_status"] in ("COMPLETED", "PARTIALLY_COMPLETED")}
    said = {}  # what was said last of each batch
    for key, value in said_of(messages, READY):
        said[key] = value["data"]
    assert set(ended) <= set(said)
    for batch_id, batch in ended.items():
        data = said[batch_id]
        assert data["overall_status"] == batch["overall_status"]
        assert (data["total_essays"], data["completed_essays"]) == \
            (batch["essay_count"], batch["completed_essay_count"])
        assert data["timestamp"] == batch["processing_completed_at"] + "Z"
    judged = said_of(messages, JUDGED)
    results = service.query("SELECT batch_id, job_id FROM assessments JOIN batch_results "
                            "USING (batch_id) WHERE user_id IS NOT NULL")
    assert sorted((key, value["data"]["assessment_job_id"]) for key, value in judged) == \
        sorted(results)
    assert len(said_of(messages, NOTIFIED)) == len(judged) + len(said_of(messages, READY))
    assert service.program.metric("ras_outbox_conflicts_total") == 0


def kind_of(message):
    return message.topic, json.loads(message.value)["data"].get("notification_type")


def places(value, path=()):
    """Of everything in a message."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items if isinstance(value, (dict, list)) else ():
        yield (*path, name)
        yield from places(item, (*path, name)) if isinstance(item, (dict, list)) else ()


def spoilt(message, path, spoil):
    value = json.loads(message.value)
    holder = value
    for name in path[:-1]:
        holder = holder[name]
    spoil(holder, path[-1])
    return outgoing_forms.problems(message.topic, message.key, json.dumps(value).encode(),
                                   dict(message.headers))


def check_departures_are_found(messages):
    """Tests the checker: changes every field of a message of each form in turn."""
    for message in {kind_of(m): m for m in messages}.values():
        for path in places(json.loads(message.value)):
            assert spoilt(message, path, lambda holder, name: holder.__setitem__(name, [7])), path
            if isinstance(path[-1], str):
                assert spoilt(message, path, lambda holder, name: holder.pop(name)), path
                assert spoilt(message, path,
                              lambda holder, name: holder.update({f"{name}_": 1})), path


@pytest.mark.parametrize("stream", ["current", "current-hard", "second-run"])
def test_each_fact_of_a_stream_is_published_once_in_its_form(service, reader, stream):
    service.feed(stream)
    service.wait_committed(len(read_records(stream)))
    wait_published(service)
    messages = reader.read()
    check_facts(service, stream, messages)
    if stream == "current":
        # A reaction that runs between two events of a batch publishes what is true then.
        ready = [json.dumps(value["data"], sort_keys=True) for _, value in said_of(messages, READY)]
        assert len(ready) == len(set(ready))
        check_departures_are_found(messages)


def test_the_events_again_in_another_order_publish_nothing(service, reader):
    records = read_records("current")
    service.feed("current")
    service.wait_committed(len(records))
    wait_published(service)
    messages = reader.read()
    check_facts(service, "current", messages)
    random.Random(1).shuffle(records)
    service.publish(records)
    service.wait_committed(2 * len(records))
    wait_published(service)
    assert reader.read() == []
    check_facts(service, "current", messages)


# ---- a message that is too large ---------------------------------------------------------------------

REGISTERED, ASSESSMENT = "huleedu.batch.essays.registered.v1", "huleedu.assessment.result.published.v1"


def large_judgement(essays):
    """The registration of a batch, and its judgement, whose message has more bytes than a producer takes."""
    judged = next(record for record in read_records("current") if record["topic"] == ASSESSMENT)
    batch_id = judged["value"]["data"]["batch_id"]
    registered = next(record for record in read_records("current") if record["topic"] == REGISTERED
                      and record["value"]["data"]["entity_id"] == batch_id)
    records = json.loads(json.dumps([registered, judged]).replace(batch_id, "large-batch"))
    for record in records:
        record["value"]["event_id"] = str(uuid.uuid4())
    data = records[1]["value"]["data"]
    data["essay_results"] = [data["essay_results"][0] | {"essay_id": f"{number:0150}", "rank": number + 1,
                                                         "is_anchor": False} for number in range(essays)]
    return records


def publish_large(service, records):
    producer = confluent_kafka.Producer({"bootstrap.servers": service.kafka.brokers, "message.max.bytes": 8000000})
    for record in records:
        producer.produce(record["topic"], json.dumps(record["value"]), record["key"])
    assert producer.flush(30) == 0


def test_a_judgement_larger_than_a_message_fails_alone_and_is_seen(service, reader):
    publish_large(service, large_judgement(5000))
    wait_until("the refusal", lambda: service.query(
        "SELECT topic, key, error FROM aggregator_state.outbox WHERE state = 'failed'") == [
            (JUDGED, "large-batch", "Broker: Message size too large")])
    (line,) = log_lines(service.program, "Kafka refused a message: see aggregator outbox show, then retry or drop it")
    assert (line["level"], line["topic"]) == ("error", JUDGED)
    wait_until("the measurement", lambda: service.program.metric("ras_outbox_failed_messages") == 1)
    assert service.program.metric("ras_outbox_failed_total") == 1
    assert service.program.ask("status")["outbox"]["failed"] == 1
    service.feed("current")
    service.wait_committed(2 + len(read_records("current")))
    wait_published(service)
    assert len(said_of(reader.read(), READY)) > 0
    assert service.program.metric("ras_outbox_failed_total") == 1
    listed = service.program.command("outbox", "list", "--state", "failed").stdout
    assert "large-batch" in listed and listed.endswith("\n1 message\n")

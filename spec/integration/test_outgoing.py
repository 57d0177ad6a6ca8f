"""Messages of the running program for other services: each fact of the view once, in the contract's
form, for any order and repetition of events."""
import json
import random

import outgoing_forms
import published
import pytest
from harness import expectations, read_records
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
        ready = [key for key, _ in said_of(messages, READY)]
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

"""What the running program stores for other services: the facts of its view, each once, whatever the
order of the events and however often they come."""
import json
import random

import pytest
from harness import expectations, read_records
from stack import wait_until

JUDGED = "huleedu.ras.batch.assessment.completed.v1"
READY = "huleedu.ras.batch.results.ready.v1"
NOTIFIED = "huleedu.notification.teacher.requested.v1"


def stored(service, topic):
    """The messages of a topic, in order: (key, identity, value)."""
    rows = service.query("SELECT key, identity, convert_from(value, 'UTF8') FROM outbox "
                         "WHERE topic = %s ORDER BY id", topic)
    return [(key, identity, json.loads(value)) for key, identity, value in rows]


def wait_for_reactions(service):
    wait_until("the marks are worked off",
               lambda: service.query("SELECT count(*) FROM reaction_marks") == [(0,)])


def check_stored(service, stream):
    expected = expectations(stream)
    ended = {batch_id: batch for batch_id, batch in expected.items()
             if batch["result_status"] in ("COMPLETED", "PARTIALLY_COMPLETED")}
    said = {}  # what was said last of each batch
    for key, identity, value in stored(service, READY):
        assert value["event_id"] == identity and value["data"]["batch_id"] == key
        said[key] = value["data"]
    assert set(ended) <= set(said)
    for batch_id, batch in ended.items():
        data = said[batch_id]
        assert data["overall_status"] == batch["overall_status"]
        assert (data["total_essays"], data["completed_essays"]) == \
            (batch["essay_count"], batch["completed_essay_count"])
        assert data["timestamp"] == batch["processing_completed_at"] + "Z"
        assert data["processing_duration_seconds"] > 0
    judged = stored(service, JUDGED)
    results = service.query("SELECT batch_id, job_id FROM assessments JOIN batch_results "
                            "USING (batch_id) WHERE user_id IS NOT NULL")
    assert sorted((key, value["data"]["assessment_job_id"]) for key, _, value in judged) == \
        sorted(results)
    assert len(stored(service, NOTIFIED)) == len(judged) + len(stored(service, READY))
    assert service.program.metric("ras_outbox_conflicts_total") == 0


@pytest.mark.parametrize("stream", ["current", "current-hard", "second-run"])
def test_each_fact_of_a_stream_is_stored_in_any_order(service, stream):
    service.feed(stream)
    service.wait_committed(len(read_records(stream)))
    wait_for_reactions(service)
    check_stored(service, stream)
    if stream == "current":
        assert len({key for key, *_ in stored(service, READY)}) == len(stored(service, READY))


def test_the_events_again_in_another_order_store_no_other_facts(service):
    records = read_records("current")
    service.feed("current")
    service.wait_committed(len(records))
    wait_for_reactions(service)
    before = service.query("SELECT topic, key, identity, value FROM outbox ORDER BY id")
    random.Random(1).shuffle(records)
    service.publish(records)
    service.wait_committed(2 * len(records))
    wait_for_reactions(service)
    assert service.query("SELECT topic, key, identity, value FROM outbox ORDER BY id") == before
    check_stored(service, "current")

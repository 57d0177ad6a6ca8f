"""Every sample stream gives exactly its expected view through the running program."""
import json

import pytest
from harness import BESIDE, STREAMS, expectations, read_records
from stack import wait_until
from views import canonical, check_view, read_answers, status_path


@pytest.mark.parametrize("stream", STREAMS)
def test_stream_gives_its_view(service, stream):
    service.feed(stream)
    check_view(service.program, stream)
    assert service.program.stop() == 0


@pytest.mark.parametrize("stream", BESIDE)
def test_stream_gives_its_view_over_apache_kafka_among_the_others(fed_apache, stream):
    check_view(fed_apache.program, stream)


@pytest.mark.parametrize("stream", BESIDE)
def test_lists_hold_the_same_contents_as_the_batches(fed_apache, stream):
    check_view(fed_apache.program, stream)
    for batch_id, wanted in expectations(stream).items():
        body = fed_apache.program.get(status_path(batch_id))[1]
        listed = fed_apache.program.get(f"/internal/v1/batches/user/{wanted['user_id']}?limit=100")
        assert body in listed[1]


def test_the_same_stream_again_changes_nothing(service):
    service.feed("current-hard")
    check_view(service.program, "current-hard")
    before = read_answers(service.program, "current-hard")
    service.feed("current-hard")
    service.wait_committed(2 * len(read_records("current-hard")))
    assert canonical(read_answers(service.program, "current-hard")) == canonical(before)
    wait_until("the count", lambda: service.program.metric("ras_duplicate_messages_total") > 0)


def test_numbers_and_text_are_returned_unchanged(service):
    """Exact doubles and unescaped text."""
    service.feed("current")
    batch_id, answer = next(iter(check_view(service.program, "current").items()))
    body = service.program.get(status_path(batch_id))[1]
    assert "\\u" not in body.decode()
    for essay in answer["essays"]:
        assert f'"cj_score":{json.dumps(essay["cj_score"])}'.encode() in body


def test_prompts_come_from_the_registration(service):
    service.feed("current")
    answers = check_view(service.program, "current")
    registrations = {record["value"]["data"]["entity_id"]: record["value"]["data"]
                     for record in read_records("current")
                     if record["topic"] == "huleedu.batch.essays.registered.v1"}
    prompts = [answer["student_prompt_ref"] for answer in answers.values()]
    assert any(prompts)
    for batch_id, answer in answers.items():
        assert answer["student_prompt_ref"] == registrations[batch_id]["student_prompt_ref"]


@pytest.mark.parametrize("redis", ["none", "redis://127.0.0.1:1"], ids=["none", "away"])
def test_works_without_redis(make_service, cleanup, redis):
    service = make_service(cleanup, redis=redis)
    service.start()
    service.feed("current")
    check_view(service.program, "current")
    wait_until("readiness", lambda: service.program.get("/readyz")[0] == 200)

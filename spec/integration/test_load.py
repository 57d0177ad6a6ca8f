"""Load: continuous rebalances, hundreds of partitions, records of ten megabytes, a batch of
thousands of essays, an essay with a hundred thousand events. Every record is counted once."""
import base64
import copy
import datetime
import itertools
import json
import random
import uuid

import pytest
import spell_results
import stack
from crashtest import log, verify
from harness import edited_config, log_lines, read_records, slot_event, statement_calls
from stack import wait_until
from views import check_form, check_view

DRAIN_LIMIT_S = 120


def check_accounted(service, topics=None, partitions=3):
    """Waits for the end of every partition; {(topic, partition): end offset}."""
    reader = log.open_reader(service.kafka.brokers)
    topics = topics or [topic for topic in stack.topics() if topic != stack.UNREAD_TOPIC]
    ends = log.end_offsets(reader, topics, partitions)
    reader.close()
    verify.wait_drained(service.database_url, ends, DRAIN_LIMIT_S)
    assert verify.check_accounting(verify.offsets(service.database_url), ends) == []
    return ends


def wait_without_lag(*programs):
    wait_until("no lag", lambda: not any(program.metric("ras_consumer_lag_messages")
                                         for program in programs))


def moment(microseconds):
    """A time of the day of the samples, as events write it."""
    at = datetime.datetime(2025, 6, 28, 12) + datetime.timedelta(microseconds=microseconds)
    return at.isoformat(timespec="microseconds") + "Z"


def publish_results(service, changes):
    """Spell-check results, one for each of `changes`, in their order."""
    path = service.folder / f"{uuid.uuid4()}.jsonl"
    spell_results.write(path, changes)
    service.feed(path)


def assignments(programs):
    """The number of assignments of the programs' workers so far."""
    return sum(len(log_lines(program, "partitions assigned")) for program in programs)


def storm(programs, goes_on):
    """Programs leave one after the other, by SIGTERM or SIGKILL, and join again: at once, or when
    the others have their partitions."""
    for number in itertools.count():
        if not goes_on():
            return
        leaver = programs[number % len(programs)]
        others = [program for program in programs if program is not leaver]
        before = assignments(others)
        (leaver.kill if number % 2 else leaver.stop)()
        if number % 3 == 0:
            wait_until("the others to notice", lambda: assignments(others) > before)
        leaver.start(wait=False)


def test_continuous_rebalances_lose_nothing(make_service, cleanup, apache):
    service = make_service(cleanup, apache)
    programs = [service.prepare_quick(INGEST_WORKERS="2").start() for _ in range(3)]
    for program in programs:
        service.wait_ready(program)
    feeder = service.feed("current", 25, wait=False)
    storm(programs, lambda: feeder.poll() is None)
    assert feeder.wait() == 0
    ends = check_accounted(service)
    assert sum(ends.values()) == len(read_records("current"))
    for program in programs:
        service.wait_ready(program)
        check_view(program, "current")
    wait_without_lag(*programs)


def test_a_topic_of_two_hundred_partitions(make_service, cleanup, make_apache):
    apache = make_apache(partitions={spell_results.TOPIC: 200})
    service = make_service(cleanup, apache)
    program = service.start(INGEST_WORKERS="2")
    # The partition is the hash of the key: these reach all of them.
    publish_results(service, ({"event_id": uuid.uuid4(), "essay_id": f"essay-{number}"}
                              for number in range(4000)))
    ends = check_accounted(service, [spell_results.TOPIC], 200)
    assert sum(ends.values()) == 4000 and all(ends.values())
    assert service.query("SELECT count(*) FROM essay_results") == [(4000,)]
    service.wait_ready()

    def lags():
        return [line for line in program.get("/metrics")[1].decode().splitlines()
                if line.startswith(f'ras_consumer_lag_messages{{topic="{spell_results.TOPIC}"')]

    wait_until("the lag of each partition", lambda: len(lags()) == 200)
    wait_without_lag(program)


def test_a_record_of_ten_megabytes(make_service, cleanup, make_apache):
    """A good one is applied; a malformed one is rejected alone and stored with all its bytes."""
    limit = {"message.max.bytes": 12_000_000, "replica.fetch.max.bytes": 12_000_000}
    service = make_service(cleanup, make_apache(properties=limit))
    service.start()
    large, small = (slot_event("batch", essay, f"{essay}.txt") for essay in ("large", "small"))
    large["value"]["data"]["an unknown field"] = "ö" * 5_000_000
    malformed = json.dumps(large["value"], ensure_ascii=False).encode()[:-1]
    # One key: one partition, in this order.
    service.publish([record | {"key": "key"} for record in (
        large,
        {"topic": large["topic"], "raw_b64": base64.b64encode(malformed).decode()},
        small)])
    check_accounted(service)
    assert service.query("SELECT essay_id FROM essay_results ORDER BY 1") == [
        ("large",), ("small",)]
    [(offset, reason, raw)] = service.query('SELECT "offset", reason, raw FROM aggregator_state.rejected_events')
    assert (offset, reason) == (1, "not_json") and bytes(raw) == malformed
    assert len(malformed) > 10_000_000


# ---- a batch of 5,000 essays ---------------------------------------------------------------------

ESSAYS = 5000
FAILED = range(0, ESSAYS, 1000)  # numbers of the essays whose spell check failed


def sample_of(topic):
    """A copy of the first record of its kind."""
    return copy.deepcopy(next(record for record in read_records("current")
                              if record["topic"] == topic))


def registration(batch_id, essay_ids):
    record = sample_of("huleedu.batch.essays.registered.v1") | {"key": batch_id}
    record["value"]["data"] |= {"entity_id": batch_id, "essay_ids": essay_ids,
                                "expected_essay_count": len(essay_ids)}
    return record


def outcome(batch_id, essay_ids):
    record = sample_of("huleedu.els.batch.phase.outcome.v1") | {"key": batch_id}
    failed = [essay_ids[number] for number in FAILED]
    record["value"]["data"] |= {
        "batch_id": batch_id, "phase_status": "completed_with_failures",
        "processed_essays": [{"essay_id": essay_id, "text_storage_id": f"text-{essay_id}"}
                             for essay_id in essay_ids if essay_id not in failed],
        "failed_essay_ids": failed}
    return record


def ranking(batch_id, essay_ids):
    record = sample_of("huleedu.assessment.result.published.v1") | {"key": batch_id}
    data = record["value"]["data"]
    result = next(item for item in data["essay_results"] if not item["is_anchor"])
    data |= {"batch_id": batch_id, "entity_id": batch_id, "essay_results": [
        result | {"essay_id": essay_id, "rank": rank, "bt_score": 1 / rank}
        for rank, essay_id in enumerate(essay_ids, 1)]}
    return record


@pytest.fixture
def patient(bare_service):
    """A service with long time limits: these tests check the contents of responses, not their
    time."""
    bare_service.start(edited_config(bare_service.folder / "patient.lua",
                                     ("route_timeout_ms = 2000", "route_timeout_ms = 50000")))
    bare_service.wait_ready()
    return bare_service


@pytest.fixture
def large_batch(patient):
    """(its id, the ids of its essays), all published."""
    batch_id, essay_ids = str(uuid.uuid4()), [f"essay-{number:04}" for number in range(ESSAYS)]
    patient.publish([registration(batch_id, essay_ids), outcome(batch_id, essay_ids),
                     ranking(batch_id, essay_ids)])
    patient.publish([slot_event(batch_id, essay_id, f"{essay_id}.txt") for essay_id in essay_ids])
    publish_results(patient, ({"event_id": uuid.uuid4(), "essay_id": essay_id,
                               "batch_id": batch_id, "corrections": number}
                              for number, essay_id in enumerate(essay_ids)))
    return batch_id, essay_ids


def test_a_batch_of_five_thousand_essays(patient, large_batch):
    batch_id, essay_ids = large_batch
    assert sum(check_accounted(patient).values()) == 2 * ESSAYS + 3
    assert patient.query("SELECT count(*) FROM aggregator_state.rejected_events") == [(0,)]
    before = statement_calls(patient)
    answer = patient.program.status_of(batch_id)
    assert statement_calls(patient) == before + 1
    check_form(answer)
    assert [essay["essay_id"] for essay in answer["essays"]] == essay_ids
    for number, essay in enumerate(answer["essays"]):
        assert (essay["cj_rank"], essay["cj_score"]) == (number + 1, 1 / (number + 1))
        assert essay["spellcheck_correction_count"] == number
        assert essay["filename"] == f"{essay['essay_id']}.txt"
    assert answer["essay_count"] == ESSAYS
    phase = {"completed": ESSAYS - len(FAILED), "failed": len(FAILED)}
    assert [answer["completed_essay_count"], answer["failed_essay_count"]] == [*phase.values()]
    assert [{key: stated[key] for key in phase} for stated in answer["phases"]] == [phase]


def test_a_batch_of_a_hundred_thousand_essays_is_refused_at_once(patient):
    patient.query("INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, "
                  "essay_count, essay_ids) SELECT 'large', now(), gen_random_uuid(), 'teacher', 100000, "
                  "array_agg(md5(n::text)) FROM generate_series(1, 100000) n")
    for path in ("/internal/v1/batches/large/status", "/internal/v1/batches/user/teacher"):
        status, body, _ = patient.program.get(path)
        assert (status, "more than 10,000 essays" in body.decode()) == (422, True), body


def test_no_list_waits_to_be_indexed(patient, large_batch):
    """Otherwise every query would scan the pending list."""
    check_accounted(patient)
    assert patient.query(
        "SELECT sum(gin_clean_pending_list(c.oid)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
        "WHERE c.relkind = 'i' AND a.amname = 'gin' HAVING count(*) = 4") == [(0,)]


def test_a_hundred_thousand_events_of_one_essay(make_service, cleanup, apache):
    """In any order the newest wins, and the time of the first is kept."""
    service = make_service(cleanup, apache)
    order = list(range(100_000))
    random.Random(7).shuffle(order)
    publish_results(service, ({"event_id": uuid.UUID(int=number), "essay_id": "essay",
                               "at": moment(number), "corrections": number}
                              for number in order))
    service.start()
    assert [end for end in check_accounted(service).values() if end] == [len(order)]
    newest = len(order) - 1
    columns = ("spellcheck_correction_count", "spellcheck_event_id::text", "spellcheck_at::text",
               "first_result_at::text")
    rows = service.query(f"SELECT {', '.join(columns)} FROM essay_results")
    assert rows == [(newest, str(uuid.UUID(int=newest)), "2025-06-28 12:00:00.099999+00",
                     "2025-06-28 12:00:00+00")]

"""What the Python service that this one replaces gets wrong, fault by fault, numbered as in the
list of its faults (1–34: its current release; S1–S12: its first). ELSEWHERE names the tests of the others,
WITHOUT_TEST why there is none.
"""
import itertools
import json
import re

import events
import pytest
from events import (assessment, completed, outcome, rankings, record, registered, slot, spellcheck,
                    spellcheck_first)
from stack import ROOT, wait_until
from strategies import raw_record
from workbench import Delivery

ELSEWHERE = {
    "9": ["spec/integration/test_lists.py::test_a_wrong_parameter_is_refused_with_the_reason"],
    "15": ["spec/property/test_convergence.py::test_any_delivery_gives_the_same_view_and_the_model_s_responses",
           "spec/property/test_publishing.py::test_each_fact_is_published_with_one_id_whatever_is_killed"],
    "16": ["spec/integration/test_cache.py::test_an_event_drops_the_cached_response"],
    "17": ["spec/integration/test_caching.py::test_what_touches_a_list_drops_it_in_every_process",
           "spec/integration/test_cache.py::test_a_slow_reader_does_not_store_over_a_commit"],
    "24": ["spec/c/test_publish_commit.c::a transaction that fails publishes nothing"],
    "25": ["spec/c/test_outbox_relay.c::a message that Kafka refuses fails alone",
           "spec/c/test_outbox_relay.c::a topic without the right to write delays only itself"],
    "26": ["spec/integration/test_outbox.py::test_a_kill_repeats_messages_and_changes_none",
           "spec/c/test_relay_takeover.c::one of two relays publishes, and the other goes on"],
    "31": ["spec/integration/test_http_health.py::test_without_redis_it_is_ready_and_says_so",
           "spec/integration/test_http_health.py::test_without_kafka_it_is_alive_and_not_ready"],
    "32": ["spec/integration/test_http_metrics.py::test_every_response_is_counted"],
    "33": ["spec/integration/test_http_credentials.py::test_credentials_are_refused"],
    "S1": ["spec/integration/test_contract.py::test_every_event_of_a_release_is_accepted"],
}
WITHOUT_TEST = {
    "8": "no other service is asked: an answer comes from the view or not at all",
    "S9": "the gateway's fault",
    "S11": "a fault of names that no event ever had; every field read here is in the samples",
    "S12": "refers to faults that have tests of their own",
}
B, OTHER = "batch-1", "batch-2"
E1, E2, E3 = "essay-1", "essay-2", "essay-3"
FAILED = "spellcheck_failed"


def s(seconds):
    return seconds * 1_000_000


def said(*happened):
    """Records of events, published a second apart in this order."""
    return [record(index + 1, s(index), event) for index, event in enumerate(happened)]


def answer_to(bench, *happened, batch_id=B):
    bench.apply(said(*happened))
    return bench.answer(batch_id)


def essay_in(answer, essay_id=E1):
    return next(essay for essay in answer["essays"] if essay["essay_id"] == essay_id)


def placed(records):
    """The records with places: one partition, one batch."""
    return Delivery.in_order(len(records)).lanes(records)[0][0]


def rejected(bench):
    return bench.query("SELECT topic, reason, detail, raw FROM aggregator_state.rejected_events ORDER BY topic, "
                       "partition, \"offset\"")


class Locked:
    """Holds a table of the view, so that commits wait."""

    def __init__(self, bench):
        self.bench = bench

    def __enter__(self):
        self.bench.query("BEGIN")
        self.bench.query("LOCK TABLE essay_results")
        return self

    def wait_for_commit(self):
        """The server process of an apply that waits for the table."""
        return wait_until("a commit that waits", lambda: self.bench.query(
            "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'essay_results'::regclass"
        ))[0][0]

    def __exit__(self, *_):
        self.bench.query("ROLLBACK")


@pytest.fixture
def applier(bench):
    """applier(redis): a process of the test's own, on an empty view."""
    started = []

    def start(redis=False):
        started.append(bench.start(redis))
        return started[-1]

    bench.reset()
    yield start
    for process in started:
        process.kill()


THREE = said(registered("current", s(0), B, [E1, E2]), slot(s(1), B, E1), slot(s(2), B, E2))


def shown(bench):
    return [essay["essay_id"] for essay in bench.answer(B)["essays"]]


# ---- the current release: events lost

def test_fault_1_a_crash_after_the_first_record_loses_none_of_the_rest(bench, applier):
    process, records = applier(), placed(THREE)
    assert process.commit(records[:1]) == "ok"
    process.kill()
    assert applier().commit(records) == "ok"
    assert shown(bench) == [E1, E2]


def test_fault_2_a_database_that_fails_takes_nothing_and_gets_all_of_it_later(bench, applier):
    process, records = applier(), placed(THREE)
    with Locked(bench) as lock:
        process.send(records)
        bench.query("SELECT pg_terminate_backend(%s)", [lock.wait_for_commit()])
        assert process.answer().startswith("unavailable: ")
    assert bench.accounts()["applied"] == 0 and bench.answers() == {}
    assert process.commit(records) == "ok"
    assert shown(bench) == [E1, E2]


def test_fault_3_events_of_a_crashed_process_are_taken_at_once_though_redis_was_asked(
        bench, applier):
    process, records = applier(redis=True), placed(THREE)
    with Locked(bench) as lock:
        process.send(records)
        lock.wait_for_commit()
        process.kill()
    second = applier(redis=True)
    wait_until("the killed process' transaction to end", lambda: second.commit(records) == "ok")
    assert shown(bench) == [E1, E2]
    assert bench.accounts() | {"applied": 3, "duplicate": 0} == bench.accounts()


def test_fault_4_an_event_that_is_refused_is_handled_once(bench):
    bench.apply(said(spellcheck(s(0), E1, "")))
    assert [reason for _, reason, _, _ in rejected(bench)] == ["out_of_range"]
    assert bench.accounts()["rejected"] == 1


STORY = [slot(s(1), B, E1), spellcheck(s(2), E1, B), outcome(B, "spellcheck",
         "completed_successfully", [E1], []), assessment(s(4), B, [(E1, 1, 1.5, False)]),
         outcome(B, "cj_assessment", "completed_successfully", [E1], []),
         completed(s(6), B, "completed_successfully", 1, 0)]


def test_fault_5_results_before_the_registration_are_kept_and_show(bench):
    first = answer_to(bench, *STORY)
    assert first is None
    bench.deliver([record(9, s(9), registered("current", s(0), B, [E1]))],
                  Delivery([(0, 1, True)]))
    answer = bench.answer(B)
    assert answer["overall_status"] == "completed_successfully"
    assert [phase["phase_name"] for phase in answer["phases"]] == ["spellcheck", "cj_assessment"]
    essay = essay_in(answer)
    assert (essay["filename"], essay["spellcheck_status"], essay["cj_rank"]) == (
        "essay.txt", "completed", 1)


def test_fault_6_what_follows_a_commit_that_failed_is_processed(bench, applier):
    process, records = applier(), placed(THREE)
    with Locked(bench) as lock:
        process.send(records[:2])
        bench.query("SELECT pg_terminate_backend(%s)", [lock.wait_for_commit()])
        assert process.answer() != "ok"
    assert process.commit(records) == "ok"
    assert shown(bench) == [E1, E2]


def test_fault_7_long_names_are_kept(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]), slot(s(1), B, E1, "å" * 5000))
    assert essay_in(answer)["filename"] == "å" * 5000


@pytest.mark.parametrize("refused, reason", [
    (slot(s(1), B, E2, "a\0b"), "bad_string"),
    (slot(s(1), "b" * 1025, E2), "handler_error"),
    (spellcheck(s(1), E2, B, corrections=2**31), "out_of_range"),
    (completed(s(1), B, "completed_successfully", 2**31, 0), "out_of_range")])
def test_fault_7_a_value_that_the_view_cannot_hold_costs_that_event_alone(bench, refused, reason):
    answer = answer_to(bench, registered("current", s(0), B, [E1]), refused, slot(s(2), B, E1))
    assert [row[1] for row in rejected(bench)] == [reason]
    assert [essay["essay_id"] for essay in answer["essays"]] == [E1]


# ---- the current release: wrong answers

def test_fault_10_a_slot_after_the_registration_shows_at_once(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]), slot(s(1), B, E1))
    assert [essay["essay_id"] for essay in answer["essays"]] == [E1]


def test_fault_11_every_phase_and_the_newest_metrics_stay(bench):
    answer = answer_to(
        bench, registered("current", s(0), B, [E1], prompt={"references": {}}),
        *(outcome(B, phase, "completed_successfully", [E1], [])
          for phase in ("spellcheck", "nlp", "cj_assessment")),
        spellcheck(s(5), E1, B, corrections=3), spellcheck(s(6), E1, B, corrections=4),
        completed(s(7), B, "completed_successfully", 1, 0))
    assert [phase["phase_name"] for phase in answer["phases"]] == [
        "spellcheck", "nlp", "cj_assessment"]
    assert bench.query("SELECT spellcheck_metrics ->> 'total_corrections' FROM essay_results") == [
        ("4",)]


def test_fault_12_a_batch_is_processing_until_its_pipeline_is_completed(bench):
    story = [registered("current", s(0), B, [E1])]
    seen = []
    for event in [slot(s(1), B, E1), spellcheck(s(2), E1, B),
                  outcome(B, "spellcheck", "completed_successfully", [E1], []),
                  assessment(s(4), B, [(E1, 1, 1.5, False)]),
                  completed(s(6), B, "completed_successfully", 1, 0)]:
        story.append(event)
        answer = answer_to(bench, *story)
        seen.append((answer["overall_status"], answer["current_phase"]))
    assert seen == [("pending_content", None), ("processing", "cj_assessment"),
                    ("processing", "cj_assessment"), ("processing", None),
                    ("completed_successfully", None)]


def answers_in_every_order(bench, happened):
    records = said(*happened)
    found = set()
    for order in itertools.permutations(range(len(records))):
        bench.apply(records, Delivery([(index, 0, True) for index in order]))
        found.add(json.dumps(bench.answer(B)))
    return [json.loads(text) for text in found]


def test_fault_13_the_status_does_not_depend_on_the_order_of_arrival(bench):
    answers = answers_in_every_order(bench, [
        registered("current", s(0), B, [E1, E2]),
        outcome(B, "spellcheck", "completed_with_failures", [E1], [E2]),
        outcome(B, "cj_assessment", "failed_critically", [], [E1]),
        completed(s(9), B, "completed_successfully", 2, 0)])
    assert [(answer["result_status"], answer["completed_essay_count"],
             answer["failed_essay_count"]) for answer in answers] == [("FAILED", 0, 2)]


def test_fault_14_the_completion_s_estimates_do_not_replace_what_the_phases_counted(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1, E2, E3]),
                       outcome(B, "spellcheck", "completed_with_failures", [E1, E2], [E3]),
                       completed(s(9), B, "completed_successfully", 3, 0))
    assert (answer["overall_status"], answer["completed_essay_count"],
            answer["failed_essay_count"]) == ("completed_with_failures", 2, 1)


@pytest.mark.parametrize("judged", [
    rankings(s(1), B, [(E1, 1, 2.5), (E2, 2, None), ("ANCHOR_1", 3, 1.0)]),
    assessment(s(1), B, [(E1, 1, 2.5, False), ("essay-x", 2, 1.0, True)])])
def test_fault_18_an_anchor_is_no_essay_and_no_score_is_a_failure(bench, judged):
    answer = answer_to(bench, registered("first", s(0), B, [E1, E2]), judged)
    rows = [(essay["essay_id"], essay["cj_assessment_status"], essay["cj_rank"],
             essay["cj_score"]) for essay in answer["essays"]]
    assert rows == [(E1, "completed", 1, 2.5), (E2, "failed", None, None)][:len(rows)]
    assert E1 in [row[0] for row in rows]


def test_fault_18_a_score_of_zero_for_an_essay_that_the_outcome_lists_as_failed(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]),
                       assessment(s(0), B, [(E1, 1, 0.0, False)]),
                       outcome(B, "cj_assessment", "failed_critically", [], [E1]))
    assert essay_in(answer)["cj_assessment_status"] == "failed"


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_fault_19_an_old_failure_neither_hides_nor_marks_a_newer_success(bench, order):
    failure = spellcheck(s(1), E1, B, FAILED)
    records = said(registered("current", s(0), B, [E1]), failure,
                   spellcheck(s(2), E1, B, text_id="corr-2"))
    # and the relay publishes the old one once more, later than all
    records.append(record(99, s(99), failure))
    bench.apply(records, Delivery([(index, 0, True) for index in (*order, 3)]))
    essay = essay_in(bench.answer(B))
    assert (essay["spellcheck_status"], essay["spellcheck_error_detail"],
            essay["spellcheck_corrected_text_storage_id"]) == ("completed", None, "corr-2")


def test_fault_20_every_time_is_there_and_comes_from_events(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]), *STORY)
    assert {key: answer[key][-15:] for key in (
        "created_at", "processing_started_at", "processing_completed_at", "last_updated")} == {
        "created_at": "08:00:00.000000", "processing_started_at": "08:00:02.000000",
        "processing_completed_at": "08:00:06.000000", "last_updated": "08:00:06.000000"}
    assert [phase["at"][-15:] for phase in answer["phases"]] == ["08:00:03.000000",
                                                                 "08:00:05.000000"]


def test_fault_21_an_answer_has_the_client_s_word_and_beside_it_the_service_s(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]),
                       completed(s(1), B, "failed_critically", 0, 1))
    assert (answer["overall_status"], answer["result_status"]) == ("failed", "FAILED")


@pytest.mark.parametrize("status", ["guest_class_ready", "student_validation_completed"])
def test_fault_22_words_of_either_release_are_known(bench, status):
    answer = answer_to(bench, registered("current", s(0), B, [E1]),
                       outcome(B, "student_matching", status, [E1], []))
    assert answer["phases"][0]["phase_status"] == status
    assert answer["overall_status"] == "processing"


def test_fault_23_an_error_detail_is_data_and_no_stack_trace(bench):
    answer = answer_to(bench, registered("current", s(0), B, [E1]),
                       spellcheck(s(1), E1, B, FAILED, error="404 Not Found"))
    detail = essay_in(answer)["spellcheck_error_detail"]
    assert detail.pop("details")["essay_id"] == E1
    assert detail == {
        "error_code": "CONTENT_SERVICE_ERROR", "message": "404 Not Found",
        "correlation_id": events.CORRELATION, "timestamp": "2026-02-01T08:00:01.000000",
        "service": "result_aggregator_service", "operation": "process_spellcheck_result"}


# ---- the current release: load and operation

def test_fault_27_a_batch_of_events_is_one_transaction(bench):
    essay_ids = [f"essay-{number}" for number in range(30)]
    bench.apply(said(registered("current", s(0), B, essay_ids),
                     *(slot(s(1), B, essay_id) for essay_id in essay_ids),
                     assessment(s(2), B, [(essay_id, 1, 0.5, False) for essay_id in essay_ids])))
    assert bench.query("SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM batch_results "
                       "UNION ALL SELECT xmin FROM essay_results UNION ALL "
                       "SELECT xmin FROM assessments UNION ALL SELECT xmin FROM aggregator_state.consumer_offsets) "
                       "rows") == [(1,)]
    assert len(bench.answer(B)["essays"]) == 30


def test_fault_28_processes_that_write_the_same_essays_at_once_do_not_collide(bench):
    essay_ids = [f"essay-{number}" for number in range(40)]
    records = said(registered("current", s(0), B, essay_ids), *(
        event for number, essay_id in enumerate(essay_ids)
        for event in (slot(s(1), B, essay_id), spellcheck(s(number % 7), essay_id, B),
                      spellcheck(s(3), essay_id, B, FAILED))))
    bench.apply(records)
    reference = bench.everything()
    for shift in range(4):
        # each process has all of them, and begins elsewhere
        steps = [((index + process * 30 + shift) % len(records), process, index % 5 == 4)
                 for process in range(4) for index in range(len(records))]
        bench.apply(records, Delivery(steps))
        assert bench.everything() == reference


def test_fault_29_event_ids_are_remembered_as_long_as_configured(bench):
    bench.apply(THREE, Delivery([(0, 0, False), (1, 0, False), (2, 0, True)], redis=True))
    # The ids are stored while the next batch is under way.
    keys = wait_until("the ids", lambda: len(bench.redis.keys("ras:seen:*")) == 3
                      and bench.redis.keys("ras:seen:*"))
    assert all(86300 < bench.redis.ttl(key) <= 86400 for key in keys)


@pytest.mark.parametrize("payload, reason", [
    (None, "null_value"), (b"", "not_json"), (b'{"a": "\xff"}', "bad_utf8"),
    (b"[" * 100, "too_deep"), (b"7", "not_object"), (b"{}", "missing_field")])
def test_fault_30_what_is_no_event_is_rejected_with_its_reason_and_its_bytes(
        bench, payload, reason):
    bench.apply([THREE[0], raw_record(events.SLOT, payload), *THREE[1:]])
    (topic, why, _, raw), = rejected(bench)
    assert (topic, why) == (events.SLOT, reason)
    assert (None if raw is None else bytes(raw)) == payload
    assert shown(bench) == [E1, E2]


def test_fault_34_essays_come_by_rank_then_name_then_id(bench):
    answer = answer_to(bench, registered("current", s(0), B, ["a", "b", "c", "d", "e"]),
                       slot(s(1), B, "a", "z.txt"), slot(s(1), B, "b", "y.txt"),
                       slot(s(1), B, "d", "y.txt"), spellcheck(s(1), "c", B),
                       assessment(s(2), B, [("e", 2, 1.0, False), ("a", 1, 2.0, False)]))
    assert [essay["essay_id"] for essay in answer["essays"]] == ["a", "e", "b", "d", "c"]


# ---- the first release

def test_fault_s2_a_spell_check_without_its_batch_shows_through_the_registration(bench):
    answer = answer_to(bench, spellcheck_first(s(1), E1), registered("first", s(0), B, [E1]))
    assert essay_in(answer)["spellcheck_status"] == "completed"


@pytest.mark.parametrize("topic", [events.OUTCOME, events.OUTCOME_FIRST])
def test_fault_s3_both_spellings_of_the_outcome_s_topic_are_read(bench, topic):
    answer = answer_to(bench, registered("first", s(0), B, [E1]), outcome(
        B, "spellcheck", "completed_successfully", [E1], [], topic))
    assert answer["completed_essay_count"] == 1


def test_fault_s4_a_batch_with_failures_ends_after_its_last_phase(bench):
    answer = answer_to(bench, registered("first", s(0), B, [E1, E2]),
                       outcome(B, "spellcheck", "completed_with_failures", [E1], [E2]),
                       outcome(B, "cj_assessment", "completed_successfully", [E1], []))
    assert (answer["overall_status"], answer["completed_essay_count"],
            answer["failed_essay_count"]) == ("completed_with_failures", 1, 1)


@pytest.mark.parametrize("redis", [False, True])
def test_fault_s5_a_malformed_envelope_does_not_suppress_the_good_one_of_the_same_data(
        bench, redis):
    good = THREE[1]
    spoilt = good | {"value": {key: value for key, value in good["value"].items()
                               if key != "event_id"}}
    bench.apply([THREE[0], spoilt, good],
                Delivery([(0, 0, True), (1, 0, True), (2, 0, True)], redis))
    assert shown(bench) == [E1]
    assert bench.accounts()["rejected"] == 1


def test_fault_s6_an_error_of_any_length_is_kept(bench):
    answer = answer_to(bench, registered("first", s(0), B, [E1]),
                       spellcheck_first(s(1), E1, status=FAILED, error="x" * 5000))
    assert essay_in(answer)["spellcheck_error_detail"]["message"] == "x" * 5000


def test_fault_s7_the_text_s_id_is_found_by_its_name_not_by_its_place(bench):
    topic, data = spellcheck_first(s(1), E1, text_under="storage_id")
    texts = data["storage_metadata"]["references"]["corrected_text"]
    data["storage_metadata"]["references"]["corrected_text"] = {"path": "p", **texts}
    answer = answer_to(bench, registered("first", s(0), B, [E1]), (topic, data))
    assert essay_in(answer)["spellcheck_corrected_text_storage_id"] == "corr-1"


def test_fault_s8_the_total_of_a_list_is_not_the_length_of_the_page(bench):
    bench.apply(said(*(registered("first", s(number), f"batch-{number}", [])
                       for number in range(3))))
    page = json.loads(bench.list("user-1", limit=1))
    assert len(page["batches"]) == 1 and page["pagination"]["total"] == 3


def test_fault_s10_an_essay_reported_under_another_batch_too_is_taken(bench):
    bench.apply(said(registered("first", s(0), B, []), registered("first", s(0), OTHER, []),
                     spellcheck_first(s(1), E1, B), spellcheck_first(s(2), E1, OTHER, FAILED)))
    answers = bench.answers()
    assert answers[OTHER]["essays"] == []  # the earliest that named it keeps it
    assert essay_in(answers[B])["spellcheck_status"] == "failed"


def is_test(name):
    """FILE::TEST: a function of a Python file, or the text of a case in C."""
    path, test = name.split("::")
    wanted = f'^    {{"{re.escape(test)}",$|^    {{"{re.escape(test)}", ' if path.endswith(".c") else \
        rf"^def {re.escape(test)}\("
    return bool(re.search(wanted, (ROOT / path).read_text(), re.M))


def test_every_fault_has_a_test_or_a_reason_why_not():
    numbers = [str(number) for number in range(1, 35)] + [f"S{number}" for number in range(1, 13)]
    tested = {match.group(1).upper() for name in globals()
              if (match := re.match(r"test_fault_(s?\d+)_", name))}
    assert sorted([*tested, *ELSEWHERE, *WITHOUT_TEST]) == sorted(numbers)


@pytest.mark.parametrize("number", ELSEWHERE)
def test_the_tests_of_a_fault_that_are_elsewhere_exist(number):
    assert [name for name in ELSEWHERE[number] if not is_test(name)] == []

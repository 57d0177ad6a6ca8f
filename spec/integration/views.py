"""Expected responses: the sample streams' views, and the form of every response (key by key, in
order)."""
import json
import re

import psycopg2
from harness import expectations, records
from stack import tail, wait_until

BATCH_KEYS = ["batch_id", "user_id", "assignment_id", "overall_status", "essay_count",
              "completed_essay_count", "failed_essay_count", "requested_pipeline", "current_phase",
              "essays", "created_at", "last_updated", "processing_started_at",
              "processing_completed_at", "student_prompt_ref", "result_status", "phases"]
ESSAY_KEYS = ["essay_id", "filename", "file_upload_id", "spellcheck_status",
              "spellcheck_correction_count", "spellcheck_corrected_text_storage_id",
              "spellcheck_error_detail", "cj_assessment_status", "cj_rank", "cj_score",
              "cj_assessment_error_detail", "last_updated"]
PHASE_KEYS = ["phase_name", "phase_status", "completed", "failed", "at"]
DETAIL_KEYS = {"error_code", "message", "correlation_id", "timestamp", "service", "operation",
               "details"}
PHASE_ORDER = ["spellcheck", "nlp", "ai_feedback", "cj_assessment"]
NAIVE_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def status_path(batch_id):
    return f"/internal/v1/batches/{batch_id}/status"


def check_form(answer):
    """Keys and their order, times, order of essays and phases."""
    assert list(answer) == BATCH_KEYS
    times = [answer[key] for key in ("created_at", "last_updated", "processing_started_at",
                                     "processing_completed_at")]
    for essay in answer["essays"]:
        assert list(essay) == ESSAY_KEYS
        times.append(essay["last_updated"])
        detail = essay["spellcheck_error_detail"]
        assert detail is None or set(detail) == DETAIL_KEYS, detail
    for phase in answer["phases"]:
        assert list(phase) == PHASE_KEYS
        times.append(phase["at"])
    assert answer["created_at"] and answer["last_updated"]
    for time in times:
        assert time is None or NAIVE_UTC.fullmatch(time), time
    assert answer["essays"] == sorted(answer["essays"], key=essay_order)
    assert answer["phases"] == sorted(answer["phases"], key=phase_order)


def essay_order(essay):
    rank, name = essay["cj_rank"], essay["filename"]
    return rank is None, rank or 0, name is None, name or "", essay["essay_id"]


def phase_order(phase):
    name = phase["phase_name"]
    known = name in PHASE_ORDER
    return not known, PHASE_ORDER.index(name) if known else 0, name


def differences(wanted, answer):
    """Differences of a response from NAME.expected.json: (path, expected, actual)."""
    found = []

    def compare(where, want, got):
        if want != got:
            found.append((where, want, got))

    for key in wanted.keys() - {"essays", "phases"}:
        compare(key, wanted[key], answer[key])
    compare("phases", sorted(wanted["phases"]),
            sorted(phase["phase_name"] for phase in answer["phases"]))
    essays = {essay["essay_id"]: essay for essay in answer["essays"]}
    compare("essays", sorted(wanted["essays"]), sorted(essays))
    for essay_id in wanted["essays"].keys() & essays.keys():
        want, got = dict(wanted["essays"][essay_id]), dict(essays[essay_id])
        compare((essay_id, "spellcheck_error"), want.pop("spellcheck_error"),
                got["spellcheck_error_detail"] is not None)
        for key in want:
            compare((essay_id, key), want[key], got[key])
    return found


def stated_errors(stream):
    """{essay_id: set of (code, message, correlation id)} of a stream's failed spell checks."""
    errors = {}
    for record in records(stream):
        event = record.get("value")
        if not event or "spellcheck" not in record["topic"] or "data" not in event:
            continue
        data = event["data"]
        metadata = data.get("system_metadata", {})
        essay_id = data.get("entity_id") or metadata.get("entity", {}).get("entity_id")
        info = metadata.get("error_info") or {}
        errors.setdefault(essay_id, set()).add(
            (info.get("error_code", "SPELLCHECK_SERVICE_ERROR"),
             next((info[key] for key in ("error_message", "fetch_error", "content_error",
                                         "unhandled_error") if info.get(key)),
                  "Spell check failed"),
             event["correlation_id"]))
    return errors


def check_errors(stream, answers):
    stated = stated_errors(stream)
    for answer in answers.values():
        for essay in answer["essays"]:
            detail = essay["spellcheck_error_detail"]
            if detail:
                said = (detail["error_code"], detail["message"], detail["correlation_id"])
                assert said in stated[essay["essay_id"]], said
                assert detail["details"]["essay_id"] == essay["essay_id"]
                assert detail["service"] == "result_aggregator_service"
            assert essay["cj_assessment_error_detail"] is None


def read_answers(program, stream):
    """{batch_id: response} of the stream's expected batches; None: not 200."""
    return {batch_id: program.status_of(batch_id) for batch_id in expectations(stream)}


def circumstances(program, batch_id):
    """Evidence to tell an outdated response from a view without the events: the database's
    response, the offsets, and the program's last log lines."""
    with psycopg2.connect(program.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT body FROM batch_answer(%s)", [batch_id])
        stored = [json.loads(body)["overall_status"] for body, in cursor.fetchall()]
        cursor.execute("SELECT topic, partition, next_offset FROM aggregator_state.consumer_offsets ORDER BY 1, 2")
        offsets = cursor.fetchall()
    processed = program.metric("ras_messages_processed_total")
    return f"in the database it is {stored}, {processed:.0f} processed, the offsets {offsets}, the log\n{tail(program.log)}"


def wait_for_view(program, stream):
    """Waits until the stream's batches have their expected responses; returns them."""
    expected = expectations(stream)
    last = []

    def equal():
        answers = read_answers(program, stream)
        last[:] = [(batch_id, differences(wanted, answers[batch_id]) if answers[batch_id] else None)
                   for batch_id, wanted in expected.items()]
        return answers if all(found == [] for _, found in last) else None

    try:
        return wait_until(f"the view of {stream}", equal, interval_s=0.1)
    except AssertionError as error:
        wrong = [item for item in last if item[1] != []]
        raise AssertionError(f"{error}; {len(wrong)} batches differ: {wrong[:1]}; "
                             f"{circumstances(program, wrong[0][0])}") from error


def check_view(program, stream):
    """The view of a stream in full: as expected, in the form that answers have."""
    answers = wait_for_view(program, stream)
    for answer in answers.values():
        check_form(answer)
    check_errors(stream, answers)
    return answers


def canonical(answers):
    return json.dumps(answers, sort_keys=True)

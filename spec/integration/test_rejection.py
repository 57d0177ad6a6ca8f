"""Malformed events: each is rejected alone, with its reason, and stored; the next event is
handled."""
import base64
import contextlib
import copy
import json

import psycopg2
from harness import check_counted, edited_config, log_lines, read_records, slot_event, statement_calls
from stack import wait_until
from views import check_view

REASONS = {"not_json": "not_json", "truncated": "not_json", "empty": "not_json",
           "bad_utf8": "bad_utf8", "json_null": "not_object", "array": "not_object",
           "null_value": "null_value", "no_data": "missing_field", "no_event_type": "missing_field",
           "bad_event_id": "wrong_type", "bad_enum": "missing_field",
           "data_wrong_type": "missing_field"}


def raw_bytes(record):
    return None if record["raw_b64"] is None else base64.b64decode(record["raw_b64"])


def envelope_of(raw):
    try:
        document = json.loads(raw)
        return document if isinstance(document, dict) else {}
    except (TypeError, ValueError):
        return {}


def rejected_rows(service):
    """The rejected events as dictionaries."""
    columns = ("topic", "partition", "offset", "reason", "detail", "raw", "event_id",
               "correlation_id", "handler")
    quoted = ", ".join(f'"{column}"' for column in columns)
    rows = service.query(f"SELECT {quoted} FROM aggregator_state.rejected_events ORDER BY topic, partition, 3")
    return [dict(zip(columns, row)) | {"raw": row[5] and bytes(row[5])} for row in rows]


def wait_rejected(service, count):
    wait_until("the rejected events", lambda: len(rejected_rows(service)) == count)
    return rejected_rows(service)


def test_the_hard_streams_malformed_events(service):
    service.feed("current-hard")
    check_view(service.program, "current-hard")
    poison = [record for record in read_records("current-hard") if "poison" in record]
    rows = wait_rejected(service, len(poison))
    check_counted(service.program, "ras_messages_processed_total", len(read_records("current-hard")))

    def kept(row):
        return row["topic"], row["raw"] or b"", row["reason"]

    assert sorted(kept(row) for row in rows) == sorted(
        (record["topic"], raw_bytes(record) or b"", REASONS[record["poison"]])
        for record in poison)
    lines = {(line["topic"], line["partition"], line["offset"]): line
             for line in log_lines(service.program, "event rejected")}
    assert len(lines) == len(rows)
    for row in rows:
        line = lines[(row["topic"], row["partition"], row["offset"])]
        assert (line["reason"], line["detail"]) == (row["reason"], row["detail"])
        assert row["handler"].startswith("handlers/")
        envelope = envelope_of(row["raw"])
        if envelope.get("event_id") != "not-a-uuid":
            assert row["event_id"] == line.get("event_id") == envelope.get("event_id")
        assert row["correlation_id"] == line.get("correlation_id") == \
            envelope.get("correlation_id")
        counted = [cell for cell in service.program.get("/metrics")[1].decode().splitlines()
                   if cell.startswith("ras_invalid_messages_total{") and row["topic"] in cell
                   and f'"{row["reason"]}"' in cell]
        same = [other for other in rows
                if (other["topic"], other["reason"]) == (row["topic"], row["reason"])]
        assert [float(cell.rsplit(" ", 1)[1]) for cell in counted] == [len(same)]


def changed(path, value):
    """A change to an event's JSON: the value at a dotted path, or its removal (...)."""
    def change(event):
        *parents, last = path.split(".")
        for parent in parents:
            event = event[parent]
        if value is ...:
            del event[last]
        else:
            event[last] = value
    return change


SPELLCHECK, SLOT = "huleedu.essay.spellcheck.results.v1", "huleedu.els.essay.slot.assigned.v1"
OUTCOME, REGISTERED = ("huleedu.els.batch.phase.outcome.v1", "huleedu.batch.essays.registered.v1")
JUDGED = "huleedu.assessment.result.published.v1"
BROKEN = [
    (SPELLCHECK, changed("data.status", "spellchecked_perhaps"), "data.status"),
    (SPELLCHECK, changed("data.corrections_made", 2 ** 31), "data.corrections_made"),
    (SPELLCHECK, changed("data.corrections_made", "six"), "data.corrections_made"),
    (SPELLCHECK, changed("data.corrections_made", 1.5), "data.corrections_made"),
    (SPELLCHECK, changed("data.entity_id", ""), "entity_id"),
    (SPELLCHECK, changed("data.timestamp", "yesterday"), "data.timestamp"),
    (OUTCOME, changed("event_timestamp", None), "event_timestamp"),
    (SPELLCHECK, changed("data.correction_metrics", []), "correction_metrics"),
    (SLOT, changed("data.original_file_name", "nul \0 inside"), "data.original_file_name"),
    (SLOT, changed("data.essay_id", 7), "data.essay_id"),
    (SLOT, changed("data", ...), None), (SLOT, changed("event_id", ...), "event_id"),
    (OUTCOME, changed("data.phase_name", "poetry"), "data.phase_name"),
    (OUTCOME, changed("data.failed_essay_ids", [1]), "data.failed_essay_ids"),
    (OUTCOME, changed("data.processed_essays", [{"essay_id": "x"}]), "text_storage_id"),
    (REGISTERED, changed("data.course_code", "LATIN"), "data.course_code"),
    (REGISTERED, changed("data.expected_essay_count", -1), "data.expected_essay_count"),
    (REGISTERED, changed("data.user_id", None), "data.user_id"),
    (JUDGED, changed("data.essay_results", ["x"]), "data.essay_results")]


def test_each_broken_event_is_rejected_alone_and_says_what_is_wrong(service):
    """The good events around them are applied."""
    samples = {record["topic"]: record for record in read_records("current")}
    lines, wanted = [], {}
    for number, (topic, change, word) in enumerate(BROKEN):
        record = copy.deepcopy(samples[topic]) | {"key": f"key{number}"}
        record["value"]["event_id"] = f"00000000-0000-4000-8000-{number:012}"
        change(record["value"])
        wanted[json.dumps(record["value"], ensure_ascii=False)] = word
        lines += [slot_event("batch", f"before{number}", "a.txt") | {"key": f"key{number}"},
                  record,
                  slot_event("batch", f"after{number}", "a.txt") | {"key": f"key{number}"}]
    service.publish(lines)
    service.wait_committed(len(lines))
    rows = rejected_rows(service)
    raws = {row["raw"].decode() for row in rows}
    assert (wanted.keys() - raws, raws - wanted.keys()) == (set(), set())
    for row in rows:
        word = wanted[row["raw"].decode()]
        assert word is None or word in row["detail"], row
        assert row["reason"] not in ("", None)
    taken = service.query("SELECT essay_id FROM essay_results WHERE slot_batch_id = 'batch'")
    assert len(taken) == 2 * len(BROKEN)


def bad_slot(essay="bad"):
    record = slot_event("batch", essay, "bad.txt")
    record["value"]["data"]["original_file_name"] = 7
    return record


def keep(service, topic, offset, raw="old", age="1 minute"):
    """A rejected event of partition 0, of a former log of the topic."""
    service.query('INSERT INTO aggregator_state.rejected_events (topic, partition, "offset", rejected_at, reason, '
                  'raw, event_id, correlation_id) VALUES (%s, 0, %s, now() - %s::interval, '
                  "'handler_error', %s, 'old', 'old')", topic, offset, age, raw)


def test_a_recreated_topic_replaces_rejected_events_of_the_old_one(service):
    for offset in range(3):
        for partition in range(3):
            service.query('INSERT INTO aggregator_state.rejected_events (topic, partition, "offset", reason, raw, '
                          "event_id, correlation_id) VALUES (%s, %s, %s, 'handler_error', 'old', "
                          "'old', 'old')", SLOT, partition, offset)
    record = bad_slot()
    service.publish([record])
    service.wait_committed(1)
    row, = [row for row in rejected_rows(service) if row["reason"] != "handler_error"]
    assert json.loads(row["raw"]) == record["value"]
    assert (row["event_id"], row["correlation_id"]) == (
        record["value"]["event_id"], record["value"]["correlation_id"])


def test_locked_expired_rejected_events_are_skipped(service):
    """Otherwise two workers that clean up could block each other."""
    keep(service, "gone", 1, age="1 year")
    keep(service, "gone", 2, age="1 year")
    with contextlib.closing(psycopg2.connect(service.database_url)) as other:
        other.cursor().execute('SELECT FROM aggregator_state.rejected_events WHERE "offset" = 1 FOR UPDATE')
        service.publish([bad_slot()])
        wait_until("the event", lambda: service.committed_events() == 1, seconds=10)
        assert [(row["topic"], row["offset"]) for row in rejected_rows(service)
                if row["topic"] == "gone"] == [("gone", 1)]


def test_rejected_events_are_bounded_in_bytes_and_the_oldest_go(bare_service):
    service = bare_service
    service.query("ALTER TABLE aggregator_state.rejected_events ALTER COLUMN raw SET STORAGE EXTERNAL")
    for offset in range(5):
        keep(service, "old", offset, "x" * 400_000, f"{10 - offset} minutes")
    program = service.start(edited_config(service.folder / "narrow.lua", (
        "rejected_keep_mb = 1024", "rejected_keep_mb = 1")))
    service.publish([bad_slot()])
    service.wait_committed(1)
    rows = rejected_rows(service)
    assert [row["offset"] for row in rows if row["topic"] == "old"] == [2, 3, 4]
    assert len(rows) == 4
    service.wait_ready(program)


def test_within_the_bound_nothing_is_trimmed(bare_service):
    service = bare_service
    service.query("ALTER TABLE aggregator_state.rejected_events ALTER COLUMN raw SET STORAGE EXTERNAL")
    for offset in range(2):
        keep(service, "old", offset, "x" * 400_000)
    service.start(edited_config(service.folder / "narrow.lua", (
        "rejected_keep_mb = 1024", "rejected_keep_mb = 1")))
    service.publish([bad_slot()])
    service.wait_committed(1)
    assert len(rejected_rows(service)) == 3


def test_a_batch_that_is_larger_than_the_bound_is_kept(bare_service):
    service = bare_service
    service.query("ALTER TABLE aggregator_state.rejected_events ALTER COLUMN raw SET STORAGE EXTERNAL")
    keep(service, "old", 0)
    bad = [bad_slot(f"{number}" + "x" * 400_000) for number in range(4)]
    service.publish(bad)
    service.start(edited_config(service.folder / "narrow.lua", (
        "rejected_keep_mb = 1024", "rejected_keep_mb = 1")))
    service.wait_committed(4)
    assert [row["topic"] for row in rejected_rows(service)].count(SLOT) >= 3


def test_a_retry_takes_few_bytes_at_once(bare_service):
    service = bare_service
    for offset in range(5):
        keep(service, SLOT, offset, json.dumps(slot_event("b", f"e{offset}", "x" * 100)["value"]))
    program = service.prepare(edited_config(service.folder / "narrow.lua", (
        "batch_max_bytes = 16 * 1024 * 1024", "batch_max_bytes = 1024")))
    said = program.command("rejected", "retry", "--all", "--yes").stdout
    assert "5 applied or ignored, 0 rejected again" in said
    assert statement_calls(service, "DELETE FROM aggregator_state.rejected_events r") == 3
    assert rejected_rows(service) == []


def test_long_values_lose_no_event(service):
    """Text has no limit; indexed ids have a high one."""
    service.publish([slot_event("b" * 1000, "e" * 1000, "ö" * 50000)])
    service.wait_committed(1)
    assert rejected_rows(service) == []
    assert service.query("SELECT filename, slot_batch_id FROM essay_results") == [
        ("ö" * 50000, "b" * 1000)]

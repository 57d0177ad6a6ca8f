"""Rows leave the view by its `retention`, with all that hangs on them, and do not come back."""
import contextlib
import datetime
import json
import shutil
import time
import uuid

import pytest
import stack
from harness import log_lines, statement_calls
from live_stream import Stream, live_path
from stack import wait_until
from views import status_path

DAYS, SPAN_DAYS = 400, 30
OLD, LEAVING_SOON, NEW = 500, 380, 10  # days ago: gone, younger than the horizon but expired, and any other
USER = "user-1"
pytestmark = pytest.mark.xdist_group("retention")


def event(topic, days_ago, data, **times):
    at = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days_ago)).isoformat()
    return {"topic": topic, "key": None, "value": {
        "event_id": str(uuid.uuid4()), "event_type": topic, "event_timestamp": at, "source_service": "test",
        "correlation_id": str(uuid.uuid4()), "data": data | {name: at for name in times.values()}}}


def registered(batch_id, days_ago):
    record = event("huleedu.batch.essays.registered.v1", days_ago, {
        "entity_id": batch_id, "expected_essay_count": 1, "essay_ids": [f"{batch_id}-essay"],
        "course_code": "ENG6", "user_id": USER, "student_prompt_ref": None})
    record["value"]["data"]["metadata"] = {"entity_id": batch_id, "entity_type": "batch", "parent_id": None,
                                           "timestamp": record["value"]["event_timestamp"], "error_info": {}}
    return record


def slot(batch_id, days_ago, essay_id=None):
    return event("huleedu.els.essay.slot.assigned.v1", days_ago, {
        "batch_id": batch_id, "essay_id": essay_id or f"{batch_id}-essay", "file_upload_id": "upload",
        "text_storage_id": "text", "original_file_name": "a.txt"}, at="timestamp")


def outcome(batch_id, days_ago):
    return event("huleedu.els.batch.phase.outcome.v1", days_ago, {
        "batch_id": batch_id, "phase_name": "spellcheck", "phase_status": "completed_successfully",
        "processed_essays": [{"essay_id": f"{batch_id}-essay", "text_storage_id": "text"}],
        "failed_essay_ids": [], "correlation_id": str(uuid.uuid4())})


def batch(batch_id, days_ago):
    return [make(batch_id, days_ago) for make in (registered, slot, outcome)]


def rows_of(service, batch_id):
    return service.query(
        "SELECT batch_id FROM batch_results WHERE batch_id = %s UNION ALL SELECT batch_id FROM phase_outcomes "
        "WHERE batch_id = %s UNION ALL SELECT essay_id FROM essay_results WHERE linked_batch_id = %s",
        *[batch_id] * 3)


def listed(program):
    body = program.get(f"/internal/v1/batches/user/{USER}?limit=10")[1]
    return [shown["batch_id"] for shown in json.loads(body)["batches"]]


def statuses(program):
    return [program.get(status_path(batch_id))[0] for batch_id in ("old", "soon", "new")]


def start_without(service, folder):
    """Starts the program on a copy of the scripts, which it returns."""
    scripts = shutil.copytree(stack.ROOT / "scripts", folder / "scripts")
    service.start(SCRIPTS_ROOT=str(scripts), SCRIPTS_TRIAL_S="1")
    service.wait_ready()
    return scripts


def declare(service, folder, scripts):
    """A reload gives the scripts the retention."""
    shutil.copy(stack.with_retention(folder / "declared", DAYS, SPAN_DAYS) / "view.lua", scripts / "view.lua")
    service.program.command("reload")
    wait_until("the old batch leaves", lambda: rows_of(service, "old") == [])


@pytest.fixture(scope="module")
def retaining(make_service, tmp_path_factory):
    """A service that had three batches when a reload gave it a retention. Its tests run in any order."""
    folder = tmp_path_factory.mktemp("retention")
    with contextlib.ExitStack() as cleanup:
        service = make_service(cleanup)
        scripts = start_without(service, folder)
        program = service.program
        service.publish(batch("old", OLD) + batch("soon", LEAVING_SOON) + batch("new", NEW))
        service.wait_committed(9)
        assert statuses(program) == [200] * 3 and listed(program) == ["new", "soon", "old"]
        assert statement_calls(service, "aggregator_state.retention WHERE") == 0
        assert statement_calls(service, "INTO aggregator_state.retention") == 0
        service.stream = Stream(program, live_path("old"))
        cleanup.callback(service.stream.close)
        service.stream.wait_events(1)
        declare(service, folder, scripts)
        yield service


def test_a_batch_leaves_with_all_that_hangs_on_it_and_does_not_come_back(retaining):
    program = retaining.program
    wait_until("its cached answer is dropped", lambda: statuses(program) == [404, 200, 200])
    assert listed(program) == ["new", "soon"]
    wait_until("the log says so", lambda: log_lines(program, "retention removed rows"))
    assert log_lines(program, "retention removed rows")[0]["rows"] == 3
    assert program.metric("ras_retention_removed_rows_total") == 3
    # a copy, an event that comes too late, and one that does not
    retaining.publish([registered("old", OLD), slot("soon", LEAVING_SOON, "late-essay"), slot("new", NEW, "new-essay-2")])
    retaining.wait_committed(12)
    assert rows_of(retaining, "old") == [] and len(rows_of(retaining, "soon")) == 3
    assert len(rows_of(retaining, "new")) == 4
    assert retaining.query("SELECT sum(expired) FROM aggregator_state.consumer_offsets")[0][0] == 2
    wait_until("the metric", lambda: program.metric("ras_expired_messages_total") == 2)


def test_nothing_leaves_before_the_bake_of_the_scripts_has_passed(retaining):
    """A rollback gives the scripts back, not the rows."""
    wait_until("the log says so", lambda: log_lines(retaining.program, "retention removed rows"))
    messages = [line["message"] for line in log_lines(retaining.program)]
    assert messages.index("the new scripts passed their bake") < messages.index("retention removed rows")


def test_verify_rebuild_and_explain_know_the_horizon(retaining):
    program = retaining.program
    verified = program.command("verify").stdout
    assert "are expired: what they wrote is kept, not compared" in verified
    assert verified.endswith("the view matches the log\n")
    retaining.query("UPDATE batch_results SET essay_count = 7")
    rebuilt = program.command("rebuild", "--yes").stdout
    assert "batch_id=new" in rebuilt and "batch_id=old" not in rebuilt, rebuilt
    assert dict(retaining.query("SELECT batch_id, essay_count FROM batch_results")) == {"new": 1, "soon": 7}
    explained = program.command("explain", "old", "--since", "beginning").stdout
    assert "batch_results batch_id=old  (not in the view)" in explained
    assert {line.split()[0] for line in explained.splitlines() if line.startswith("    ") and "Z  " in line} == \
        {"expired"}, explained


def test_verify_shows_what_events_beyond_the_span_wrote_as_missing(bare_service, tmp_path):
    """A rebuild writes it again, without the batch."""
    scripts = start_without(bare_service, tmp_path)
    bare_service.publish([registered("old", OLD), slot("old", NEW)])
    bare_service.wait_committed(2)
    declare(bare_service, tmp_path, scripts)
    done = bare_service.program.command("verify", check=False)
    assert done.returncode == 1 and "essay_results: 1 missing" in done.stdout, done.stdout
    bare_service.program.command("rebuild", "--yes")
    assert rows_of(bare_service, "old") == [("old-essay",)]


def test_the_command_says_what_has_left_and_what_leaves_next(retaining):
    program = retaining.program
    wait_until("the sweep ends", lambda: json.loads(program.command("retention", "--json").stdout)[0]["swept_at"])
    shown = json.loads(program.command("retention", "--json").stdout)[0]
    midnight = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    assert shown["horizon"] == shown["todays_horizon"]
    assert shown["horizon"][:10] == str((midnight - datetime.timedelta(days=DAYS)).date())
    assert shown["expired_before"][:10] == str((midnight - datetime.timedelta(days=DAYS - SPAN_DAYS)).date())
    assert shown["removed"] == 1 and set(shown["before_it"].values()) == {0}
    assert program.command("retention").stdout.startswith(
        "batch_results: rows leave 400 days after registration\n  horizon          20")
    assert json.loads(program.command("status", "--json").stdout)["retention"][0]["removed"] == 1


def test_without_a_retention_the_command_says_that_every_row_stays(fed):
    assert fed.program.command("retention").stdout == \
        "no table of scripts/view.lua has a retention: every row stays\n"


@pytest.mark.parametrize("column, problem", [
    ("batch", "the column batch of the table essay_results: the database has no such column"),
    ("slot_event_id", "the column slot_event_id of the table essay_results, which is of type uuid: the key of this "
                      "table, batch_id, is of type text, and equals none of it")])
def test_check_names_a_column_of_with_that_cannot_hold_the_key(retaining, tmp_path, column, problem):
    scripts = stack.with_retention(tmp_path / "scripts", DAYS, SPAN_DAYS)
    view = scripts / "view.lua"
    view.write_text(view.read_text().replace('"linked_batch_id"', f'"{column}"'))
    checked = retaining.prepare(SCRIPTS_ROOT=str(scripts)).command("check", check=False)
    assert checked.returncode == 1
    assert f"retention: `with` names {problem}" in checked.stdout + checked.stderr


def test_a_live_stream_is_told_that_its_rows_have_left(retaining):
    assert [event["data"]["status"] for event in retaining.stream.wait_events(2)[:2]] == [200, 404]


def test_the_metrics_say_when_the_horizon_moves_next(retaining):
    wait_until("its move", lambda: retaining.program.metric("ras_retention_next_move_timestamp_seconds") >
               time.time() + 1)
    due_s = retaining.program.metric("ras_retention_next_move_timestamp_seconds")
    assert due_s % 86400 == 0 and due_s - time.time() <= 86400
    wait_until("the sweep's end", lambda: retaining.program.metric("ras_retention_unswept") == 0)


def test_an_index_that_the_deletes_lack_is_named_with_its_statement(retaining):
    """The migrations make those of `with`."""
    program = retaining.program
    statement = 'CREATE INDEX CONCURRENTLY ON "batch_results" ("registration_at")'
    assert f"its deletes read whole tables for lack of an index: {statement}\n" in program.command("check").stderr
    assert f"  lacks an index:  {statement}\n" in program.command("retention").stdout
    assert json.loads(program.command("retention", "--json").stdout)[0]["missing_indexes"] == [statement]
    retaining.query(statement.replace(" CONCURRENTLY", ""))
    assert "for lack of an index" not in program.command("check").stderr
    assert json.loads(program.command("retention", "--json").stdout)[0]["missing_indexes"] == []


def test_try_and_tap_show_which_events_are_expired(retaining, tmp_path):
    program, events = retaining.program, tmp_path / "events.jsonl"
    events.write_text("".join(json.dumps(record) + "\n" for record in (registered("old", OLD), registered("new", NEW))))
    old, new, totals = map(json.loads, program.command("try", events, "--json").stdout.splitlines())
    assert (old["outcome"], old["merges"], new["outcome"], new["expired_before"]) == ("expired", [], "applied", None)
    assert old["time"] < old["expired_before"] < new["time"]
    assert (totals["expired"], len(totals["rows"])) == (1, 1)
    shown = program.command("try", events).stdout
    assert "by its retention nothing is merged into batch_results, nor into what leaves with it" in shown
    assert shown.endswith("1 applied, 0 ignored, 0 rejected, 0 unread, 1 expired\n")
    tapped = program.command("tap", "--from-beginning", "--limit", "9", "--json").stdout.splitlines()
    assert {json.loads(line)["outcome"] for line in tapped} == {"applied", "expired"}

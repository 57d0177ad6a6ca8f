"""aggregator diff and reload --shadow-run: the newest events through the running scripts and those
on disk, compared before a switch."""
import json
import re
import signal

import psycopg2
import pytest
from harness import hold_up, log_lines, read_records, slot_event
from scripts_copy import HANDLER, SLOTS, command, reload
from stack import free_port, wait_until
from test_admin import KEY, ask
from test_rebuild import dump

SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'aggregator_shadow_run')"


@pytest.fixture
def service(bare_service, own_scripts):
    """A service that has consumed a stream."""
    bare_service.start(ADMIN_API_KEY=KEY, ADMIN_PORT=str(free_port()), **own_scripts.env)
    bare_service.wait_ready()
    bare_service.feed("current")
    bare_service.wait_committed(len(read_records("current")))
    wait_until("the reactions", lambda: bare_service.query(
        "SELECT count(*) FROM aggregator_state.reaction_marks") == [(0,)])
    return bare_service


def diff(program, *words, status):
    done = program.command("diff", "--json", *words, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert " " not in re.sub(r'"(\\.|[^"\\])*"', "", done.stdout)
    return json.loads(done.stdout)


def shadow_run(program, *words, status):
    code, said = command(program, "reload", "--shadow-run", *words)
    assert code == status, said
    return said


def live(service):
    """All that a shadow run may not touch."""
    offsets = service.query("SELECT o::text FROM aggregator_state.consumer_offsets o ORDER BY 1")
    handled = service.query("SELECT o::text FROM aggregator_state.offset_scripts o ORDER BY 1")
    rejected = service.query("SELECT r::text FROM aggregator_state.rejected_events r ORDER BY 1")
    published = service.query("SELECT identity FROM aggregator_state.outbox ORDER BY 1")
    return dump(service), offsets, handled, rejected, published


def counted(program):
    """The metrics of events, rows, transactions and scripts."""
    text = program.get("/metrics")[1].decode()
    return [line for line in text.splitlines() if re.match(
        r"ras_(\w*messages?|rows|merges|batch|script|db_transaction|reaction)_|ras_db_operations_total.*"
        r"(commit_batch|upsert|q\d)", line)]


def reject_slots(own_scripts, condition="event.filename"):
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                     f"handle = function(event, view)\n    if {condition} then error('on purpose') end\n")


def table(said):
    return next(one for one in said["tables"] if one["table"] == "essay_results")


def test_equal_scripts_are_equal(service, own_scripts):
    before = live(service)
    said = diff(service.program, status=0)
    assert said["equal"] is True and said["differing_rows"] == said["newly_rejected"] == 0
    assert said["events"] == len(read_records("current"))
    assert said["rows"] == sum(len(rows) for rows in before[0].values())
    assert said["old"]["events"] == said["new"]["events"] == said["events"]
    assert said["old"]["applied"] == said["new"]["applied"] > 0
    assert said["old"]["cpu_us_per_event"] > 0 and said["new"]["cpu_us_per_event"] > 0
    assert live(service) == before
    assert service.query(SCHEMAS)[0][0] == 0
    line, = log_lines(service.program, "shadow run ended")
    assert line["events"] == said["events"] and line["differing_rows"] == 0


def test_an_equivalent_handler_is_accepted(service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "return {", "-- the same\nreturn {")
    said = shadow_run(service.program, status=0)
    assert said["done"] is True and said["generation"] == 2
    assert said["shadow_run"]["equal"] is True


def test_a_changed_column_is_shown_and_refused(service, own_scripts):
    own_scripts.name_files("new ")
    before, metrics = live(service), counted(service.program)
    said = shadow_run(service.program, status=1)
    assert said["done"] is False and said["generation"] == 1
    essays = service.query("SELECT count(filename) FROM essay_results")[0][0]
    assert f"{essays} of {said['shadow_run']['rows']} rows differ" in said["error"]
    found = table(said["shadow_run"])
    assert (found["differing"], found["only_old"], found["only_new"]) == (essays, 0, 0)
    column, = found["columns"]
    assert column["column"] == "filename" and column["rows"] == essays
    for example in column["examples"]:
        essay = example["key"].removeprefix("essay_id=")
        name = service.query("SELECT filename FROM essay_results WHERE essay_id = %s", essay)[0][0]
        assert (example["old"], example["new"]) == (name, f"new {name}")
    assert all(one["columns"] == [] for one in said["shadow_run"]["tables"] if one is not found)
    assert live(service) == before
    assert service.program.metric("ras_script_generation") == 1
    assert service.program.metric('ras_script_reloads_total{result="failed"}') == 1
    changed = set(counted(service.program)) ^ set(metrics)
    assert {line.split("{")[0] for line in changed} == {"ras_script_reloads_total"}


def test_an_accepted_difference_is_taken(service, own_scripts):
    own_scripts.name_files("new ")
    share = diff(service.program, status=1)
    percent = share["differing_rows"] * 100 // share["rows"]
    assert 0 < percent < 99
    assert f"{percent} % are accepted" in \
        shadow_run(service.program, "--accept", percent, status=1)["error"]
    said = shadow_run(service.program, "--accept", percent + 1, status=0)
    assert said["done"] is True and said["generation"] == 2
    assert said["shadow_run"]["differing_rows"] == share["differing_rows"]
    service.publish([slot_event("a-batch", "after", "file")])
    wait_until("the new name", lambda: service.query(
        "SELECT 1 FROM essay_results WHERE filename = 'new file'"))


def test_newly_rejected_events_are_shown_with_their_places(service, own_scripts):
    reject_slots(own_scripts, "event.essay_id == 'bad'")
    bad = slot_event("a-batch", "bad", "file")
    service.publish([bad, slot_event("a-batch", "good", "file")])
    service.wait_committed(len(read_records("current")) + 2)
    before = live(service)
    said = shadow_run(service.program, status=1)["shadow_run"]
    assert said["newly_rejected"] == 1 and said["no_longer_rejected"] == 0
    event, = said["rejected_by_new_only"]
    assert event["topic"] == SLOTS and event["event_id"] == bad["value"]["event_id"]
    assert event["handler"] == "handlers/essay_slot_assigned" and event["reason"] == "handler_error"
    assert "on purpose" in event["detail"]
    assert said["rejected"] == [{"handler": "handlers/essay_slot_assigned",
                                 "reason": "handler_error", "old": 0, "new": 1}]
    assert (table(said)["only_old"], table(said)["only_old_keys"]) == (1, ["essay_id=bad"])
    partition, offset = service.query(
        "SELECT partition, last_offset FROM aggregator_state.consumer_offsets WHERE topic = %s AND next_offset > 0 "
        "AND partition = %s", SLOTS, event["partition"])[0]
    assert event["partition"] == partition and 0 <= event["offset"] <= offset
    assert live(service) == before
    shadow_run(service.program, "--accept", "100", status=0)


def test_events_that_the_new_scripts_reject_no_more_are_shown(bare_service, own_scripts):
    reject_slots(own_scripts)
    bare_service.start(INGEST_BREAKER_SHARE_PERCENT="100", **own_scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(30)])
    bare_service.wait_committed(30)
    own_scripts.restore(f"scripts/{HANDLER}")
    said = diff(bare_service.program, status=1)
    assert said["no_longer_rejected"] == 30 and said["newly_rejected"] == 0
    assert len(said["rejected_by_old_only"]) == 10 and said["rejected_by_new_only"] == []
    assert (said["old"]["rejected"], said["new"]["rejected"]) == (30, 0)
    assert table(said)["only_new"] == 30
    assert ("among them those of 30 events that the running scripts reject and the new ones apply"
            in shadow_run(bare_service.program, status=1)["error"])


def test_a_row_that_the_database_refuses_is_a_rejection(service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "filename = event.filename",
                     'filename = event.essay_id == "bad" and "\\0" or event.filename')
    service.publish([slot_event("a-batch", "bad", "file")])
    service.wait_committed(len(read_records("current")) + 1)
    said = diff(service.program, status=1)
    event, = said["rejected_by_new_only"]
    assert said["newly_rejected"] == 1 and event["reason"] in ("database_refused", "handler_error")


def test_only_the_newest_events_are_looked_at(service, own_scripts):
    own_scripts.name_files("new ")
    whole = diff(service.program, status=1)
    said = diff(service.program, "--events", "20", status=1)
    assert said["events"] == 20 < whole["events"]
    assert said["rows"] < whole["rows"]


def test_declarations_of_the_old_scripts_only_are_listed_and_not_compared(service, own_scripts):
    (own_scripts.folder / "scripts" / HANDLER).unlink()
    said = diff(service.program, status=1)
    assert said["only_old"] == [f"topic {SLOTS}"] and said["only_new"] == []
    assert said["differing_rows"] == 0 and said["equal"] is False


def test_a_new_column_is_listed_and_not_compared(service, own_scripts):
    service.query("ALTER TABLE essay_results ADD COLUMN slot_note text")
    own_scripts.edit("scripts/view.lua", '{ "filename", "text" },',
                     '{ "filename", "text" }, { "slot_note", "text" },')
    own_scripts.edit(f"scripts/{HANDLER}", "filename = event.filename",
                     'slot_note = "new", filename = event.filename')
    said = diff(service.program, status=1)
    assert said["only_new"] == ["column essay_results.slot_note"] and said["only_old"] == []
    assert said["differing_rows"] == said["newly_rejected"] == 0
    assert shadow_run(service.program, status=0)["generation"] == 2


def test_a_new_topic_is_run_through_the_new_scripts(bare_service, own_scripts):
    handler = own_scripts.folder / "scripts" / HANDLER
    text = handler.read_text()
    handler.unlink()
    bare_service.start(**own_scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(7)])
    handler.write_text(text)
    said = wait_until("the events", lambda: (
        lambda found: found if found["events"] == 7 else None)(
            diff(bare_service.program, status=1)))
    assert said["only_new"] == [f"topic {SLOTS}"]
    assert (said["old"]["events"], said["new"]["events"]) == (0, 7)
    assert table(said)["only_new"] == 7


# ---- what would be published ---------------------------------------------------------------------

RESULTS = "reactions/results_ready"


def published(said):
    return next(one for one in said["published"] if one["source"] == RESULTS)


def wait_for_outbox(service):
    """All that follows from the stream is stored, with the marks gone; the identities by reaction."""
    wait_until("the reactions", lambda: service.query(
        "SELECT 1 FROM aggregator_state.outbox HAVING count(*) > 0 AND NOT EXISTS (SELECT 1 FROM aggregator_state.reaction_marks)"))
    return {source: {identity for _, identity in service.query(
        "SELECT source, identity FROM aggregator_state.outbox WHERE source = %s", source)}
        for source, in service.query("SELECT DISTINCT source FROM aggregator_state.outbox")}


def test_reactions_of_both_sides_publish_the_same_and_nothing_leaves(service):
    stored = wait_for_outbox(service)
    before = live(service)
    said = diff(service.program, status=0)
    assert said["messages"] == sum(len(identities) for identities in stored.values()) > 0
    assert said["differing_messages"] == said["newly_failing"] == said["no_longer_failing"] == 0
    assert {one["source"]: one["messages"] for one in said["published"]} == {
        source: len(identities) for source, identities in stored.items()}
    assert live(service) == before
    assert service.query("SELECT count(*) FROM aggregator_state.reaction_marks") == [(0,)]
    done = service.program.command("diff")
    assert re.search(rf"^{RESULTS} publishes \d+ messages, equal$", done.stdout, re.M)


def test_the_scripts_on_the_disk_give_the_same_interpreted_and_compiled(service, own_scripts):
    wait_for_outbox(service)
    running = diff(service.program, status=0)["old"]["hash"]
    own_scripts.name_files("new ")
    before = live(service)
    said = diff(service.program, "--interpreted", status=0)
    assert said["equal"] is True and said["rows"] > 0 and said["messages"] > 0
    assert (said["old"]["compiled"], said["new"]["compiled"]) == (False, True)
    assert said["old"]["hash"] == said["new"]["hash"] != running
    assert live(service) == before
    done = service.program.command("diff", "--interpreted", "--events", "100")
    assert re.search(r"^old  \w+, interpreted  .*\nnew  \w+, compiled  ", done.stdout, re.M), done.stdout


def test_other_contents_of_a_reaction_are_shown_and_refused(service, own_scripts):
    wait_for_outbox(service)
    before, metrics = live(service), counted(service.program)
    text = "        status = row.status,\n        overall_status = row.status,\n        total_essays = "
    own_scripts.edit("scripts/reactions/results_ready.lua", text, text + "1 + ")
    said = shadow_run(service.program, status=1)
    found = said["shadow_run"]
    assert found["differing_rows"] == 0 and found["equal"] is False
    item = published(found)
    # its identity names all that it says: another content is another message
    assert item["only_old"] == item["only_new"] == found["differing_messages"] // 2 > 0
    assert f"{found['differing_messages']} of {found['messages']} published messages" in said["error"]
    field = next(one for one in item["fields"] if one["field"] == "value.data.total_essays")
    for example in field["examples"]:
        assert int(example["new"]) == int(example["old"]) + 1 and example["topic"] and example["key"]
    shown = item["only_new_messages"][0]
    assert shown["identity"] not in {row for row, in before[-1]}
    assert json.loads(shown["value"].partition(',"data"')[0] + "}")["event_id"] == shown["identity"]
    assert live(service) == before
    changed = set(counted(service.program)) ^ set(metrics)
    assert {line.split("{")[0] for line in changed} == {"ras_script_reloads_total"}


def test_other_contents_under_one_identity_are_shown_by_field(service, own_scripts):
    wait_for_outbox(service)
    own_scripts.edit("scripts/reactions/results_ready.lua", "---@type reactions.results_ready\nreturn {", """
local function quietly(list)
  for _, message in ipairs(list) do
    message.value = message.value:gsub('"total_essays":', '"essays":')
    message.at = message.at + 1
  end
  return list
end
return {""")
    own_scripts.edit("scripts/reactions/results_ready.lua", "    return {\n      outgoing.event(fact,",
                     "    return quietly {\n      outgoing.event(fact,")
    item = published(diff(service.program, status=1))
    assert (item["only_old"], item["only_new"]) == (0, 0) and item["differing"] == item["messages"]
    fields = {one["field"]: one for one in item["fields"]}
    assert {"at", "value.data.total_essays", "value.data.essays"} <= set(fields)
    assert "identity" not in fields and "topic" not in fields
    gone, came = (fields[f"value.data.{name}"]["examples"][0] for name in ("total_essays", "essays"))
    assert gone["new"] is None and came["old"] is None and gone["old"] == came["new"]
    done = service.program.command("diff", check=False)
    assert re.search(rf"^{RESULTS} publishes (\d+) messages, \1 of them differ\n  at: in ",
                     done.stdout, re.M), done.stdout


def test_a_reaction_of_one_side_only_is_listed_with_its_messages(service, own_scripts):
    stored = wait_for_outbox(service)
    (own_scripts.folder / "scripts/reactions/results_ready.lua").unlink()
    said = diff(service.program, status=1)
    assert said["only_old"] == [f"reaction {RESULTS}"] and said["only_new"] == []
    item = published(said)
    assert (item["only_old"], item["only_new"]) == (len(stored[RESULTS]), 0)
    assert {one["identity"] for one in item["only_old_messages"]} <= stored[RESULTS]


def test_keys_for_which_the_new_reactions_alone_fail_are_shown_with_the_place(service, own_scripts):
    wait_for_outbox(service)
    own_scripts.edit("scripts/reactions/results_ready.lua", "publish = function(row)\n",
                     "publish = function(row)\n    error('on purpose')\n")
    said = diff(service.program, status=1)
    keys = {key for key, in service.query("SELECT DISTINCT key FROM aggregator_state.outbox WHERE source = %s "
                                          "AND key <> ''", RESULTS)}
    assert said["newly_failing"] > 0 and said["no_longer_failing"] == 0
    for one in said["failing"]:
        assert (one["reaction"], one["old"]) == (RESULTS, None) and one["key"] in keys
        assert "results_ready.lua:" in one["new"] and "on purpose" in one["new"]
    own_scripts.restore("scripts/reactions/results_ready.lua")
    own_scripts.edit("sql/queries/reaction_results.sql", "SELECT key,",
                     "SELECT key, 1 / length(left(key, 0)) AS nothing,")
    refused = diff(service.program, status=1)
    assert refused["newly_failing"] >= said["newly_failing"]
    assert "division by zero" in refused["failing"][0]["new"]


def test_the_report_is_readable(service, own_scripts):
    done = service.program.command("diff", check=False)
    assert done.returncode == 0 and done.stdout.endswith("\nequal\n")
    assert re.search(r"^essay_results: \d+ rows, equal$", done.stdout, re.M)
    own_scripts.name_files("new ")
    done = service.program.command("diff", check=False)
    assert done.returncode == 1 and done.stdout.endswith("\ndifferent\n")
    assert re.search(r"^  filename: in \d+ rows$", done.stdout, re.M)
    assert re.search(r"^      old: (.*)\n      new: new \1$", done.stdout, re.M)


def test_a_diff_that_cannot_be_made_says_why(service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "return {", "return broken {")
    done = service.program.command("diff", check=False)
    assert (done.returncode, done.stdout) == (2, "") and "essay_slot_assigned.lua:" in done.stderr
    own_scripts.restore(f"scripts/{HANDLER}")
    service.kafka.stop()
    done = service.program.command("diff", check=False)
    assert done.returncode == 2 and "topics of Kafka" in done.stderr
    assert service.query(SCHEMAS)[0][0] == 0


def test_scripts_touch_no_outside_system_and_log_nothing(service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "return {", """
local log = require("log")
local redis = require("redis")
local metrics = require("metrics")
local seen = metrics.counter("slots_seen_total", "Slots.")
return {""")
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n", """
  handle = function(event, view)
    seen:add(1)
    log.info("slot seen")
    if redis.call("SET", "slot", "1") then error("redis was there") end
""")
    said = diff(service.program, status=0)
    assert said["equal"] is True
    assert not log_lines(service.program, "slot seen")
    assert b"\nslots_seen_total " not in service.program.get("/metrics")[1]


def test_over_http(service, own_scripts):
    program = service.program
    own_scripts.name_files("new ")
    status, said, _ = ask(program, "/admin/diff?events=50", "POST")
    assert status == 200 and said["events"] == 50 and said["equal"] is False
    status, said, _ = ask(program, "/admin/reload?shadow_run=true&events=50", "POST")
    assert status == 409 and said["done"] is False and said["shadow_run"]["events"] == 50
    for wrong in ("reload?shadow_runs=true", "reload?shadow_run=yes", "reload?accept=3",
                  "reload?shadow_run=true&accept=101", "reload?shadow_run=true&events=0"):
        assert ask(program, f"/admin/{wrong}", "POST")[0] == 400, wrong
    assert ask(program, "/admin/diff?shadow_run=true", "POST")[0] == 400
    assert program.metric("ras_script_generation") == 1
    status, said, _ = ask(program, "/admin/reload?canary=true&accept=100", "POST")  # the former name
    assert status == 200 and said["done"] is True


def test_leftovers_are_dropped_and_a_second_one_is_refused(service, own_scripts):
    service.query("CREATE SCHEMA aggregator_shadow_run_old")
    service.query("CREATE TABLE aggregator_shadow_run_old.essay_results (x integer)")
    other = psycopg2.connect(service.database_url)
    other.cursor().execute("SELECT pg_advisory_lock(7236016)")
    done = service.program.command("diff", check=False)
    assert done.returncode == 2 and "another shadow run is running" in done.stderr
    assert service.query(SCHEMAS)[0][0] == 1
    other.close()
    assert diff(service.program, status=0)["equal"] is True
    assert service.query(SCHEMAS)[0][0] == 0


@pytest.fixture
def held_up(service, own_scripts, cleanup):
    """A shadow run of scripts that differ, which waits for a lock that the fixture returns, and its
    answer when there is one."""
    own_scripts.name_files("new ")
    return hold_up(service, cleanup, "aggregator shadow run", lambda: command(
        service.program, "reload", "--shadow-run", "--accept", "100"))


def test_it_delays_nothing_and_a_reload_meanwhile_stays(service, own_scripts, held_up):
    lock, thread, answers = held_up
    assert command(service.program, "status", "--json")[1]["ready"] is True
    own_scripts.name_files("quick ")
    assert reload(service.program)["generation"] == 2
    service.publish([slot_event("a-batch", "meanwhile", "file")])
    wait_until("the quick name", lambda: service.query(
        "SELECT 1 FROM essay_results WHERE filename = 'quick file'"))
    assert not answers
    lock.rollback()
    thread.join()
    status, said = answers[0]
    assert status == 1 and said["done"] is False and said["generation"] == 2
    assert "another reload or rollback finished first" in said["error"] and said["shadow_run"]["events"] > 0
    assert service.program.metric("ras_script_generation") == 2


def test_a_rollback_and_back_meanwhile_takes_no_number_twice(service, own_scripts, held_up):
    lock, thread, answers = held_up
    own_scripts.name_files("quick ")
    assert reload(service.program)["generation"] == 2
    assert command(service.program, "rollback")[1]["generation"] == 1
    lock.rollback()
    thread.join()
    assert "another reload or rollback finished first" in answers[0][1]["error"]
    assert [one["generation"] for one in command(service.program, "status", "--json")[1]["generations"]] == \
        [1, 2]


def test_a_program_that_stops_ends_its_shadow_run(service, held_up):
    lock, thread, answers = held_up
    service.program.send(signal.SIGTERM)
    wait_until("the signal", lambda: log_lines(service.program, "stopping"))
    lock.rollback()
    assert service.program.process.wait(timeout=50) == 0
    thread.join()
    assert "the program is stopping" in answers[0][1]["error"]
    assert service.query(SCHEMAS)[0][0] == 0

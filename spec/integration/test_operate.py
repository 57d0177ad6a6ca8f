"""Operators' tasks on a running service: status, rejected events, replay, the breaker."""
import json
import re
import subprocess

import pytest
from harness import BESIDE, log_lines, read_records
from scripts_copy import HANDLER, SLOTS
from stack import wait_until


def break_slots(scripts):
    """Each event of a slot raises after it has merged."""
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    view:touch(event.essay_id)\n"
                 "    view.essay_results:merge(event.essay_id, 'slot_link', { slot_batch_id = 'half' })\n"
                 "    error('broken on purpose')\n")


def slot_events():
    return [record for record in read_records("current") if record["topic"] == SLOTS]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused(bare_service, encoding):
    """Only UTF8 can store every event: good events would be rejected."""
    name = bare_service.database_url.rsplit("/", 1)[1] + "_other"
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", bare_service.database_url, "-c",
                    f'CREATE DATABASE "{name}" ENCODING \'{encoding}\' TEMPLATE template0 '
                    "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"], check=True)
    program = bare_service.prepare(
        RESULT_AGGREGATOR_SERVICE_DATABASE_URL=bare_service.database_url + "_other")
    for command in ("check", "migrate"):
        failed = program.command(command, check=False)
        assert failed.returncode == 1
        assert f"encoding is {encoding}, it must be UTF8" in failed.stderr


def test_status_reports_the_running_program(service):
    said = json.loads(service.program.command("status", "--json", check=False).stdout)
    assert said["port"] == service.program.port and said["ready"] is True
    assert said["health"]["dependencies"]["kafka"]["status"] == "healthy"


@pytest.mark.parametrize("probe, path", [([], "/healthz"), (["ready"], "/readyz"),
                                         (["read"], "/readyz/read"), (["consume"], "/readyz/consume")])
def test_health_answers_as_the_probe(service, probe, path):
    program = service.program
    said = program.command("health", *probe)
    assert json.loads(said.stdout)["health"].keys() == json.loads(program.get(path)[1]).keys()


def test_health_fails_where_the_probe_does(bare_service):
    program = bare_service.prepare()
    assert program.command("health", check=False).returncode == 1
    program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"] = "postgresql://127.0.0.1:1/none"
    program.start()
    wait_until("the check of the database", lambda: program.get("/healthz")[0] == 503)
    failed = program.command("health", check=False)
    assert failed.returncode == 1 and json.loads(failed.stdout)["good"] is False
    wrong = program.command("health", "redy", check=False)
    assert wrong.returncode == 1 and "no such probe: alive, ready" in wrong.stdout


def test_status_without_a_program_says_where_it_looked(bare_service):
    program = bare_service.prepare()
    failed = program.command("status", check=False)
    assert failed.returncode == 1 and "admin.sock" in failed.stderr


def test_a_second_program_does_not_replace_the_socket(service):
    other = service.start(ADMIN_SOCKET=service.program.env["ADMIN_SOCKET"])
    wait_until("the warning", lambda: any("admin socket" in line["message"]
                                          for line in log_lines(other)))
    assert json.loads(service.program.command("status", "--json", check=False).stdout)["port"] == service.program.port


def test_a_raising_handler_rejects_its_events_alone_and_retry_applies_them(bare_service, own_scripts):
    break_slots(own_scripts)
    program = bare_service.start(**own_scripts.env, INGEST_BREAKER_SHARE_PERCENT="100")
    events = slot_events()
    bare_service.feed("current")
    bare_service.wait_committed(len(read_records("current")))
    assert bare_service.query("SELECT count(*) FROM aggregator_state.rejected_events WHERE reason = 'handler_error'"
                              )[0][0] == len(events)
    # the merge before the error left nothing behind
    assert bare_service.query("SELECT count(*) FROM essay_results WHERE slot_batch_id = 'half'"
                              )[0][0] == 0
    listed = program.command("rejected", "list", "--limit", "3").stdout.splitlines()
    assert len(listed) == 4 and "broken on purpose" in listed[0]
    identifier = listed[0].split()[2]
    shown = program.command("rejected", "show", identifier).stdout
    assert "essay_slot_assigned" in shown and "original_file_name" in shown
    again = program.command("rejected", "retry", identifier).stdout
    assert "0 applied or ignored, 1 rejected again" in again
    own_scripts.restore(f"scripts/{HANDLER}")
    refused = program.command("rejected", "retry", "--topic", SLOTS, check=False)
    assert refused.returncode == 1 and "--yes" in refused.stderr
    retried = program.command("rejected", "retry", "--topic", SLOTS, "--yes").stdout
    assert f"{len(events)} applied or ignored, 0 rejected again" in retried
    assert bare_service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0
    assert bare_service.query("SELECT count(*) FROM essay_results WHERE filename IS NOT NULL"
                              )[0][0] == len({e["value"]["data"]["essay_id"] for e in events})


def test_what_a_handler_logs_names_its_event(bare_service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                     "handle = function(event, view)\n    require('log').info('slot seen')\n")
    program = bare_service.start(**own_scripts.env)
    events = slot_events()
    bare_service.publish(events)
    bare_service.wait_committed(len(events))
    said = {line["correlation_id"] for line in log_lines(program, "slot seen")}
    assert said == {event["value"]["correlation_id"] for event in events}


def test_drop_deletes_the_selected_rejected_events_only(service):
    """An invalid argument drops nothing."""
    service.feed("current-hard")
    service.wait_committed(len(read_records("current-hard")))
    topic, partition, offset, count = service.query(
        "SELECT topic, partition, \"offset\", count(*) OVER () FROM aggregator_state.rejected_events LIMIT 1")[0]
    assert count > 5
    identifier = f"{topic}/{partition}/{offset}"
    for words, status, reason in (
            (("--topic", topic, "--partition", "99", "--yes"), 2, "takes no option --partition"),
            (("--topic", "", "--yes"), 2, "--topic is empty"),
            ((identifier, f"{topic}/x/y", "--yes"), 1, f"no such rejected event: {topic}/x/y")):
        failed = service.program.command("rejected", "drop", *words, check=False)
        assert failed.returncode == status and reason in failed.stderr
        assert service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == count
    refused = service.program.command("rejected", "drop", "--all", check=False)
    assert refused.returncode == 1 and "--yes" in refused.stderr
    assert refused.stdout.startswith(f"{count} rejected events are selected:\n  ")
    assert service.program.command("rejected", "drop", identifier).stdout.endswith("1 dropped\n")
    said = service.program.command("rejected", "drop", "--all", "--yes").stdout
    assert f"{count - 1} dropped" in said
    failed = service.program.command("rejected", "drop", "--all", "--yes", check=False)
    assert failed.returncode == 1 and "no such rejected event" in failed.stderr


@pytest.mark.parametrize("arguments,message", [
    (["rejected", "show", "nothing/0/0"], "no such rejected event: nothing/0/0"),
    (["replay", "--topic", "unknown", "--partition", "7", "--from-offset", "0"],
     "has consumed nothing of topic unknown, partition 7")])
def test_invalid_arguments_get_an_error_with_the_valid_form(bare_service, arguments, message):
    failed = bare_service.prepare().command(*arguments, check=False)
    assert failed.returncode == 1 and message in failed.stderr


def test_replay_ignores_the_processed_ids_in_redis(bare_service, own_scripts):
    """A replay applies slots that a bad script ignored, with duplicates counted."""
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                     "handle = function(event, view)\n    if event.essay_id then return 'ignored' end\n")
    bare_service.start(**own_scripts.env)
    events = slot_events()
    bare_service.publish(events)
    bare_service.publish(events)
    bare_service.wait_committed(2 * len(events))
    assert bare_service.query("SELECT count(*) FROM essay_results")[0][0] == 0
    bare_service.program.stop()
    own_scripts.restore(f"scripts/{HANDLER}")
    program = bare_service.start(**own_scripts.env)
    bare_service.wait_ready(program)
    rewound = program.command("replay", "--topic", SLOTS, "--from-offset", "0").stdout
    assert f"{SLOTS}/0: reads again from offset 0" in rewound
    bare_service.wait_committed(2 * len(events))
    essays = len({event["value"]["data"]["essay_id"] for event in events})
    wait_until("the slots", lambda: bare_service.query(
        "SELECT count(*) FROM essay_results WHERE filename IS NOT NULL")[0][0] == essays)


def test_replay_takes_one_partition_by_time(service):
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    said = service.program.command("replay", "--topic", SLOTS, "--partition", "1",
                                   "--from-offset", "1").stdout
    assert re.fullmatch(rf"{SLOTS}/1: reads again from offset 1: (1 offset|[1-9]\d* offsets)\n", said)


def test_replay_by_time_finds_the_offset_in_kafka(fed_apache):
    fed_apache.wait_committed(sum(len(read_records(stream)) for stream in BESIDE))
    said = fed_apache.program.command("replay", "--topic", SLOTS, "--from-time",
                                      "2020-01-01T00:00:00Z").stdout
    assert said.count("reads again from offset 0") == 3


def test_the_breaker_opens_before_a_whole_topic_is_rejected(bare_service, own_scripts):
    break_slots(own_scripts)
    bare_service.start(**own_scripts.env, INGEST_BREAKER_WINDOW_EVENTS="20")
    program = bare_service.program
    bare_service.wait_ready()
    events = slot_events()
    bare_service.publish(events)
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)

    def reason():
        _, body, _ = program.get("/readyz")
        waits = json.loads(body)["dependencies"]["kafka"]["waiting"]
        return waits[0]["reason"] if waits else ""

    wait_until("a look at it", lambda: "were rejected" in reason())
    assert program.get("/readyz/consume")[0] == 503 and "broken on purpose" in reason()
    assert bare_service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0
    program.stop()
    own_scripts.restore(f"scripts/{HANDLER}")
    bare_service.start(**own_scripts.env, INGEST_BREAKER_WINDOW_EVENTS="20")
    bare_service.wait_committed(len(events))
    assert bare_service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0


def test_resume_rejects_the_waiting_events_and_goes_on(bare_service, own_scripts):
    break_slots(own_scripts)
    program = bare_service.start(**own_scripts.env, INGEST_BREAKER_WINDOW_EVENTS="20")
    bare_service.wait_ready()
    events = slot_events()
    bare_service.publish(events)
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)
    assert json.loads(program.command("resume").stdout) == {"resumed_workers": 1}
    bare_service.wait_committed(len(events))
    assert bare_service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == len(events)
    assert program.metric("ras_breaker_open") == 0
    wait_until("readiness", lambda: program.get("/readyz/consume")[0] == 200)

"""Scripts and settings are replaced while the program runs: all or none, without a lost event or a
failed request."""
import contextlib
import json
import pathlib
import re
import signal
import threading

import psycopg2
import pytest
from harness import edited_config, log_lines, read_records, slot_event
from scripts_copy import HANDLER, SLOTS, HeldSpecs, Scripts, command, reload
from stack import HEADERS, ROOT, wait_until

BATCHES = "huleedu.batch.essays.registered.v1"
BAKE_FAILED = "the bake of the new scripts failed"
API_KEYS = ('api_keys = list(env_or_file("HULEEDU_INTERNAL_API_KEY") or '
            'env_or_file("INTERNAL_API_KEY"))')


@pytest.fixture
def scripts(bare_service):
    return Scripts(bare_service.folder)


@pytest.fixture
def service(bare_service, scripts):
    bare_service.start(**scripts.env)
    bare_service.wait_ready()
    return bare_service


def filename_of(service, essay):
    rows = service.query("SELECT filename FROM essay_results WHERE essay_id = %s", essay)
    return rows[0][0] if rows else None


def assign(service, essay):
    """Publishes a slot of the essay; returns the file name in the view."""
    service.publish([slot_event("a-batch", essay, "file")])
    return wait_until("the essay", lambda: filename_of(service, essay))


def test_events_after_a_reload_are_handled_by_the_new_scripts(service, scripts):
    assert assign(service, "before") == "file"
    scripts.name_files("new ")
    said = reload(service.program)
    assert said["generation"] == 2 and said["workers"] == 1
    assert said["changed"] == [str(scripts.folder / "scripts" / HANDLER)]
    assert said["settings"] == said["needs_restart"] == [] and said["took_ms"] > 0
    assert assign(service, "after") == "new file"
    status = command(service.program, "status", "--json")[1]
    assert [(one["generation"], one["running"]) for one in status["generations"]] == \
        [(2, True), (1, False)]
    assert status["health"]["scripts"] == {"generation": 2, "hash": said["hash"]}
    assert service.program.metric("ras_script_generation") == 2


def test_a_reload_without_a_change_says_so(service):
    status, said = command(service.program, "reload")
    assert status == 0 and said["done"] is False and said["generation"] == 1
    assert said["reason"] == "nothing has changed"


@pytest.mark.parametrize("file, old, new, reason", [
    (f"scripts/{HANDLER}", "handle = function(", "handle = function", "essay_slot_assigned.lua:"),
    (f"scripts/{HANDLER}", "topic", "topics_of", "essay_slot_assigned"),
    ("scripts/view.lua", '"filename"', '"file_name"', "file_name"),
    ("sql/queries/batch_status.sql", "batch_answer(", "no_such_answer(", "batch_status.sql"),
    ("scripts/routes/batch_status.lua", "handle =", "handel =", "batch_status"),
    (f"scripts/{HANDLER}", "handle = function(event, view)",
     "handle = function(event, view)\n    if event.event_id == 'never' then prnt(event) end",
     "essay_slot_assigned.lua:16: accessing undefined variable 'prnt' (luacheck)"),
    (f"scripts/{HANDLER}", "handle = function(event, view)",
     "handle = function(event, view)\n    local batch = event.batch_id",
     "unused variable 'batch' (luacheck)"),
    (f"scripts/{HANDLER}", "handle = function(event, view)",
     "handle = function(event, view)\n    do local view = event view:touch('x') end",
     "essay_slot_assigned.lua")])
def test_invalid_scripts_change_nothing(service, scripts, file, old, new, reason):
    path = scripts.folder / file
    path.write_text(path.read_text().replace(old, new, 1))
    status, said = command(service.program, "reload")
    assert status == 1 and said["done"] is False and said["generation"] == 1
    assert reason in said["error"]
    assert service.program.metric("ras_script_generation") == 1
    assert assign(service, "still") == "file"
    scripts.restore(file)
    scripts.name_files("mended ")
    assert reload(service.program)["generation"] == 2


def test_responses_of_the_previous_scripts_are_not_served_again(service, scripts):
    service.publish([record for record in read_records("current")][:3])
    service.wait_committed(1)
    batch = service.query("SELECT batch_id FROM batch_results")[0][0]
    path = f"/internal/v1/batches/{batch}/status"
    for _ in range(2):  # the second one from the cache
        assert service.program.get(path)[0] == 200
    scripts.edit("scripts/routes/batch_status.lua", "handle = function(request)",
                 'handle = function(request)\n    if request then return '
                 '{ status = 200, body = "{}", tags = {} } end')
    reload(service.program)
    assert service.program.get(path)[:2] == (200, b"{}")


def test_a_signal_reloads(service, scripts):
    scripts.name_files("by signal ")
    service.program.send(signal.SIGHUP)
    wait_until("the reload", lambda: service.program.metric("ras_script_generation") == 2)
    assert assign(service, "after") == "by signal file"


def test_status_tells_a_fleet_that_runs_different_scripts(service, scripts):
    assert assign(service, "before") == "file"
    first = command(service.program, "status", "--json")[1]["partitions_handled_by"]
    assert [one["partitions"] for one in first] == [1]
    scripts.name_files("new ")
    fresh = reload(service.program)["hash"]
    service.publish([record for record in read_records("current") if record["topic"] != SLOTS][:1])
    service.wait_committed(2)
    both = command(service.program, "status", "--json")[1]["partitions_handled_by"]
    assert {one["hash"] for one in both} == {first[0]["hash"], fresh}


def test_an_author_sees_changes_without_a_command(bare_service, scripts):
    program = bare_service.prepare(**scripts.env)
    program.options += ["--watch"]
    program.start()
    bare_service.wait_ready()
    scripts.edit(f"scripts/{HANDLER}", "return {", "return broken {")
    wait_until("the error", lambda: log_lines(program, "the scripts were not replaced"))
    scripts.name_files("watched ")
    wait_until("the reload", lambda: program.metric("ras_script_generation") == 2)
    assert assign(bare_service, "after") == "watched file"
    assert len(log_lines(program, "the scripts were not replaced")) == 1


def test_a_rollback_does_not_need_the_files(service, scripts):
    for number, prefix in enumerate(("second ", "third "), 2):
        scripts.name_files(prefix)
        assert reload(service.program)["generation"] == number
    scripts.edit(f"scripts/{HANDLER}", "return {", "return broken {")
    status, said = command(service.program, "rollback")
    assert status == 0 and said["generation"] == 2
    assert assign(service, "back") == "second file"
    status, said = command(service.program, "rollback", "1")
    assert status == 0 and said["generation"] == 1
    assert assign(service, "first") == "file"
    status, said = command(service.program, "rollback", "7")
    assert status == 1 and said["error"] == "generation 7 is unknown; kept are: 2, 3"
    scripts.name_files("fourth ")
    assert reload(service.program)["generation"] == 4
    assert command(service.program, "rollback", "3")[0] == 0
    assert command(service.program, "rollback", "7")[1]["error"].endswith("; kept are: 1, 2, 4")


def test_a_rollback_without_another_generation_says_so(service):
    status, said = command(service.program, "rollback")
    assert status == 1 and said["error"] == "no other generation has run on this database"


def stored(service):
    return [row[0] for row in service.query(
        "SELECT hash FROM aggregator_state.script_generations ORDER BY last_ran_at DESC")]


def test_a_rollback_after_a_restart_finds_the_scripts_in_the_database(service, scripts):
    first = command(service.program, "status", "--json")[1]["health"]["scripts"]["hash"]
    scripts.name_files("second ")
    second = reload(service.program)["hash"]
    wait_until("both to be stored", lambda: stored(service) == [second, first])
    scripts.name_files("third ")
    service.program.kill()
    program = service.start(**scripts.env)
    wait_until("the third to be stored", lambda: stored(service)[1:] == [second, first])
    assert assign(service, "after") == "third file"
    status, said = command(program, "rollback")
    assert status == 0 and said["hash"] == second and said["generation"] == 2
    assert said["changed"] == [str(scripts.folder / "scripts" / HANDLER)]
    assert assign(service, "back") == "second file"
    status, said = command(program, "rollback", first[:8])
    assert status == 0 and said["hash"] == first and said["generation"] == 3
    assert assign(service, "first") == "file"
    wait_until("the order", lambda: stored(service)[:2] == [first, second])
    listed = command(program, "status", "--json")[1]["stored_generations"]
    assert [one["hash"] for one in listed] == stored(service)
    assert all(one["first_ran_at"] <= one["last_ran_at"] for one in listed)


def test_a_rollback_to_stored_scripts_that_the_settings_do_not_fit_is_refused(service, scripts):
    first = wait_until("the first to be stored", lambda: stored(service))[0]
    assert service.program.stop() == 0
    (scripts.folder / "scripts/lib/more.lua").write_text("return {}\n")
    program = service.start(**scripts.env, AGGREGATOR_SCRIPTS_INTERPRETED="lib/more")
    status, said = command(program, "rollback", first[:8])
    assert status == 1 and 'scripts.interpreted' in said["error"]
    assert 'has no file "lib/more.lua"' in said["error"]


WRONG_NAME = ("send the number of a generation, or eight or more digits of its hash: aggregator "
              "status lists them")


@pytest.mark.parametrize("which, error", [
    ("00000000", "no generation 00000000 has run on this database, or too long ago"),
    ("%", WRONG_NAME),
    ("abc", WRONG_NAME),
])
def test_a_rollback_to_an_unknown_generation_says_so(service, which, error):
    status, said = command(service.program, "rollback", which)
    assert status == 1 and said["error"] == error


def test_stored_files_changed_by_hand_are_not_run(service, scripts):
    first = wait_until("the first to be stored", lambda: stored(service))[0]
    service.query("UPDATE aggregator_state.script_files SET source = source || '--' WHERE name = 'view'")
    scripts.name_files("second ")
    service.program.kill()
    program = service.start(**scripts.env)
    wait_until("the second to be stored", lambda: len(stored(service)) == 2)
    status, said = command(program, "rollback")
    assert status == 1
    assert said["error"] == f"the stored files of generation {first} were changed since it ran"


def test_the_generations_that_ran_longest_ago_are_forgotten(bare_service, scripts):
    bare_service.query("INSERT INTO aggregator_state.script_generations SELECT 'old ' || number, now(), now() - "
                       "number * interval '1 day' FROM generate_series(1, 30) AS number")
    bare_service.start(**scripts.env)
    kept = wait_until("the running one", lambda: len(stored(bare_service)) == 20 and
                      stored(bare_service))
    assert kept[1:] == [f"old {number}" for number in range(1, 20)]


def test_the_scripts_are_stored_when_the_database_is_back(bare_service, scripts):
    bare_service.query("ALTER TABLE aggregator_state.script_files RENAME TO away")
    program = bare_service.start(**scripts.env)
    wait_until("the warning", lambda: log_lines(program, "the running scripts are not stored yet: "
               "a rollback after a restart would not find them; the next attempt follows"))
    bare_service.query("ALTER TABLE aggregator_state.away RENAME TO script_files")
    wait_until("the scripts", lambda: stored(bare_service))


def test_scripts_that_fail_the_specs_are_refused(bare_service, scripts):
    spec = ROOT / "spec/unit/handlers/essay_slot_assigned_spec.lua"
    program = bare_service.start(SCRIPTS_SPECS=str(spec), **scripts.env)
    bare_service.wait_ready()
    scripts.name_files("wrong ")
    status, said = command(program, "reload")
    assert status == 1 and said["done"] is False and said["generation"] == 1
    assert said["error"].startswith("the specs fail: ") and "essay_slot_assigned" in said["error"]
    assert assign(bare_service, "after") == "file"
    scripts.restore(f"scripts/{HANDLER}")
    scripts.edit(f"scripts/{HANDLER}", "handle = function", "-- as it was\n  handle = function")
    assert reload(program)["generation"] == 2


def test_missing_specs_refuse_a_reload(bare_service, scripts):
    program = bare_service.start(SCRIPTS_SPECS="/nowhere", **scripts.env)
    scripts.name_files("new ")
    status, said = command(program, "reload")
    assert status == 1 and said["error"].startswith("the specs fail: test: /nowhere: No such file")


def test_specs_that_do_not_end_refuse_a_reload(bare_service, scripts):
    specs = HeldSpecs(bare_service.folder)
    program = specs.give(bare_service.prepare(AGGREGATOR_SCRIPTS_SPECS_TIMEOUT_S="1", **scripts.env)).start()
    scripts.name_files("new ")
    status, said = command(program, "reload")
    assert (status, said["generation"]) == (1, 1)
    assert said["error"] == f"the specs in {specs.path}: timed out after 1 s"


def test_scripts_that_change_while_the_specs_run_are_not_those_that_passed(bare_service, scripts):
    specs = HeldSpecs(bare_service.folder)
    program = specs.give(bare_service.prepare(**scripts.env)).start()
    bare_service.wait_ready()
    scripts.name_files("tested ")
    answers = []
    reloading = threading.Thread(target=lambda: answers.append(command(program, "reload")))
    reloading.start()
    specs.wait_begun()
    scripts.name_files("untested ")
    specs.let_go()
    reloading.join()
    (status, said), = answers
    assert (status, said["generation"]) == (1, 1)
    assert said["error"] == "the scripts changed while the specs ran: reload again"
    assert assign(bare_service, "before") == "file"
    assert reload(program)["generation"] == 2
    assert assign(bare_service, "after") == "untested file"


def test_settings_that_can_change_do_and_the_others_are_named(bare_service, scripts):
    config = bare_service.folder / "own.lua"
    edited_config(config)
    program = bare_service.start(config, **scripts.env)
    bare_service.wait_ready()
    text = config.read_text()
    edited_config(config, (API_KEYS, 'api_keys = { "fresh-key" }'),
                  ("keep_alive_timeout_ms = 5000", "keep_alive_timeout_ms = 6000"))
    assert config.read_text() != text
    said = reload(program)
    assert said["settings"] == ["http.api_keys"] and said["changed"] == []
    assert said["needs_restart"] == ["http.keep_alive_timeout_ms"]
    status, again = command(program, "reload")
    assert (status, again["done"], again["needs_restart"]) == (0, False, said["needs_restart"])
    assert again["reason"] == "only a restart or an upgrade applies what has changed"
    path = "/internal/v1/batches/x/status"
    assert program.get(path)[0] == 401
    assert program.get(path, HEADERS | {"X-Internal-API-Key": "fresh-key"})[0] == 404


@contextlib.contextmanager
def database_away(service):
    """Ends all connections and refuses new ones."""
    base, name = service.database_url.rsplit("/", 1)
    connection = psycopg2.connect(f"{base}/postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                   (name,))
    yield
    cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    connection.close()


def lets_in(program, key):
    """Only a 401 counts: the route may lack its database."""
    path = "/internal/v1/batches/x/status"
    return program.get(path, HEADERS | {"X-Internal-API-Key": key})[0] != 401


def test_an_author_sees_a_change_that_an_outage_kept_back(bare_service, scripts):
    program = bare_service.prepare(**scripts.env)
    program.options += ["--watch"]
    program.start()
    bare_service.wait_ready()
    with database_away(bare_service):
        scripts.name_files("kept back ")
        wait_until("the error", lambda: log_lines(program, "the scripts were not replaced"))
    wait_until("the reload", lambda: program.metric("ras_script_generation") == 2)
    assert assign(bare_service, "after") == "kept back file"


def test_a_rollback_needs_no_database(service, scripts):
    program = service.program
    scripts.name_files("new ")
    reload(program)
    with database_away(service):
        status, said = command(program, "rollback")
        assert status == 0 and said["generation"] == 1, said
        assert log_lines(program, "the database is unavailable: the scripts are not checked against its "
                         "schema again")
        status, said = command(program, "reload")
        assert status == 1 and said["done"] is False and said["generation"] == 1, said
    assert assign(service, "after") == "file"


def test_a_revoked_key_is_refused_even_if_the_scripts_are(bare_service, scripts):
    """Not without a database, with bad scripts, or after a rollback."""
    config = bare_service.folder / "own.lua"
    edited_config(config, (API_KEYS, 'api_keys = { "leaked" }'))
    program = bare_service.start(config, **scripts.env)
    bare_service.wait_ready()
    assert lets_in(program, "leaked")
    edited_config(config, (API_KEYS, 'api_keys = { "second" }'))
    with database_away(bare_service):
        assert reload(program)["settings"] == ["http.api_keys"]
        assert lets_in(program, "second") and not lets_in(program, "leaked")
        edited_config(config, (API_KEYS, 'api_keys = { "third" }'))
        scripts.name_files("new ")
        assert command(program, "reload")[0] == 1
        assert lets_in(program, "third") and not lets_in(program, "second")
        assert command(program, "rollback")[0] == 0
        assert lets_in(program, "third") and not lets_in(program, "leaked")
    edited_config(config, (API_KEYS, 'api_keys = { "fourth" }'))
    scripts.edit("scripts/view.lua", "return", "retrun")
    assert command(program, "reload")[0] == 1
    assert lets_in(program, "fourth") and not lets_in(program, "third")


def test_log_options_of_the_command_line_survive_a_reload(bare_service, scripts):
    program = bare_service.prepare(**scripts.env)
    program.options += ["--log=text"]
    program.start()
    bare_service.wait_ready()
    scripts.name_files("new ")
    reload(program)
    line, = [line for line in program.log.read_text().splitlines() if "the scripts were replaced" in line]
    assert not line.startswith("{")


def test_a_reload_closes_the_breaker_that_the_scripts_had_opened(bare_service, scripts):
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    error('on purpose')\n")
    program = bare_service.start(INGEST_BREAKER_WINDOW_EVENTS="10", **scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(100)])
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)
    scripts.name_files("mended ")
    reload(program)
    bare_service.wait_committed(100)
    assert program.metric("ras_breaker_open") == 0
    assert program.get("/readyz")[0] == 200


def test_a_bake_does_not_judge_the_breaker_of_the_scripts_before(bare_service, scripts):
    """The worker is busy in a handler while the bake looks, and has not switched yet."""
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    error('on purpose')\n")
    scripts.edit("scripts/handlers/batch_registered.lua", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    local clock = require('clock')\n"
                 "    local ends = clock.monotonic() + 1\n"
                 "    while clock.monotonic() < ends do end\n")
    program = bare_service.start(INGEST_BREAKER_WINDOW_EVENTS="10", SCRIPTS_HANDLER_TIMEOUT_MS="5000",
                                 **scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(100)])
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)
    scripts.name_files("mended ")
    bare_service.publish([record for record in read_records("current")
                          if record["topic"] == BATCHES])
    reload(program)
    wait_until("the essays", lambda: filename_of(bare_service, "essay 99"))
    assert command(program, "status", "--json")[1]["generations"][0]["generation"] == 2


def break_slots(scripts):
    scripts.restore(f"scripts/{HANDLER}")
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    error('on purpose')\n")


def bad_generation(service, scripts, **env):
    """A program on whose scripts a reload has brought ones that reject every event."""
    program = service.start(**scripts.env, **env)
    service.wait_ready()
    service.publish([slot_event("a-batch", f"good {n}", "file") for n in range(50)])
    service.wait_committed(50)
    break_slots(scripts)
    reload(program)
    service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(60)])
    return program


@pytest.mark.parametrize("breaker", ["50", "100"])
def test_scripts_that_reject_more_than_those_before_are_rolled_back(bare_service, scripts, breaker):
    """With the breaker on and off."""
    program = bad_generation(bare_service, scripts, INGEST_BREAKER_SHARE_PERCENT=breaker)
    wait_until("the rollback", lambda: program.metric("ras_script_generation") == 1)
    bare_service.wait_committed(110)
    assert program.metric("ras_breaker_open") == 0
    line, = [line for line in log_lines(program) if line["message"].startswith(BAKE_FAILED)]
    assert line["level"] == "error" and line["reason"]
    status = command(program, "status", "--json")[1]
    assert [one["generation"] for one in status["generations"]] == [1, 2]
    assert assign(bare_service, "after") == "file"


def test_without_a_bake_nothing_is_rolled_back(bare_service, scripts):
    program = bad_generation(bare_service, scripts, INGEST_BREAKER_SHARE_PERCENT="100",
                             SCRIPTS_TRIAL_S="0")
    bare_service.wait_committed(110)
    wait_until("the count", lambda: program.metric("ras_rejected_messages_total") == 60)
    assert program.metric("ras_script_generation") == 2


def await_looks_at_the_bake(program, looks=4):
    """Its thread sleeps once before each look, and seldom for a lock."""
    path, = (task for task in pathlib.Path(f"/proc/{program.process.pid}/task").iterdir()
             if (task / "comm").read_text() == "generations\n")

    def sleeps():
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (path / "status").read_text(), re.M)[1])

    before = sleeps()
    wait_until("looks at the bake", lambda: sleeps() >= before + looks)


def test_scripts_that_reject_no_more_than_those_before_stay(bare_service, scripts):
    """Events rejected before the reload do not count for the new scripts."""
    break_slots(scripts)
    program = bare_service.start(INGEST_BREAKER_SHARE_PERCENT="100", SCRIPTS_TRIAL_S="600", **scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"first {n}", "file") for n in range(50)])
    bare_service.wait_committed(50)
    scripts.edit(f"scripts/{HANDLER}", "on purpose", "on purpose again")
    reload(program)
    bare_service.publish([slot_event("a-batch", f"second {n}", "file") for n in range(50)])
    wait_until("the rejections", lambda: program.metric("ras_rejected_messages_total") == 100)
    await_looks_at_the_bake(program)
    assert not [line for line in log_lines(program) if line["message"].startswith(BAKE_FAILED)]
    assert program.metric("ras_script_generation") == 2


def test_scripts_pass_a_bake_without_events(bare_service, scripts):
    program = bare_service.start(SCRIPTS_TRIAL_S="1", **scripts.env)
    scripts.name_files("new ")
    reload(program)
    wait_until("the end of the bake", lambda: log_lines(program, "the new scripts passed their bake"))
    assert program.metric("ras_script_generation") == 2


def test_calls_errors_and_memory_are_counted_by_script(bare_service, scripts):
    break_slots(scripts)
    program = bare_service.start(**scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(3)])
    bare_service.wait_committed(3)
    text = program.get("/metrics")[1].decode()
    script = '{script="handlers/essay_slot_assigned"}'
    assert f"ras_script_errors_total{script} 3\n" in text
    assert f"ras_script_duration_seconds_count{script} 3\n" in text
    assert program.metric("ras_script_memory_bytes") > 10000


def test_running_topics_and_paths_are_dropped_only_with_drop(service, scripts):
    """A topic, a reaction, a path of a route, its stream, or all of them, as in an emptied folder."""
    program = service.program
    (scripts.folder / "scripts" / HANDLER).unlink()
    (scripts.folder / "scripts/reactions/results_ready.lua").unlink()
    lists = scripts.folder / "scripts/routes/user_batches.lua"
    stream = "/internal/v1/batches/user/{user_id}/events"
    assert f'  live = "{stream}",\n' in lists.read_text()
    lists.write_text(lists.read_text().replace(f'  live = "{stream}",\n', ""))
    route = "scripts/routes/batch_status.lua"
    text = (scripts.folder / route).read_text()
    assert '"/internal/v1/batches/{batch_id}/status"' in text
    (scripts.folder / route).write_text(text.replace(
        '"/internal/v1/batches/{batch_id}/status"', '"/internal/v1/batches/{batch_id}/state"'))
    (scripts.folder / "scripts/openapi.json").unlink()  # it describes the path
    status, said = command(program, "reload")
    assert status == 1 and said["done"] is False and "reload --drop" in said["error"]
    dropped = [f"topic {SLOTS}", "reaction reactions/results_ready",
               "GET /internal/v1/batches/{batch_id}/status", f"GET {stream}"]
    assert all(what in said["error"] for what in dropped), said
    status, said = command(program, "reload", "--drop")
    assert status == 0 and said["dropped"] == dropped
    assert log_lines(program, "the reload drops topics, reactions or paths")
    for file in (scripts.folder / "scripts/routes").iterdir():
        file.unlink()
    status, said = command(program, "reload", "--drop")
    assert status == 1 and "declares no route" in said["error"]
    assert program.command("rollback").returncode == 0
    assert program.get("/internal/v1/batches/x/status", HEADERS)[0] == 404


METRIC_ROUTE = """local metrics = require("metrics")
local asked = metrics.counter("svc_asked_total", "Asked.", {{ {labels} }})
return {{ method = "GET", path = "/m/{{who}}", endpoint = "m", auth = false,
  handle = function(request)
    asked:add(1, {{ {values} }})
    return {{ status = 200, body = "{{}}" }}
  end }}
"""


def test_metrics_come_and_go_with_the_scripts_that_declare_them(service, scripts):
    """A further label is accepted; a refused or compared set leaves no metric."""
    program = service.program
    route = scripts.folder / "scripts/routes/asked.lua"
    one = METRIC_ROUTE.format(labels='"who"', values="who = request.params.who")
    two = METRIC_ROUTE.format(labels='"who", "how"', values='who = request.params.who, how = "x"')

    def page():
        return program.get("/metrics")[1].decode()

    route.write_text(two + "this is no Lua")
    assert command(program, "reload")[0] == 1
    route.write_text(one)
    reload(program)
    assert program.get("/m/ann")[0] == 200
    assert 'svc_asked_total{who="ann"} 1\n' in page()
    scripts.name_files("new ")
    reload(program)
    assert program.get("/m/ann")[0] == 200
    assert 'svc_asked_total{who="ann"} 2\n' in page()
    route.write_text(two)
    reload(program)
    assert program.get("/m/ann")[0] == 200
    assert 'svc_asked_total{who="ann",how="x"} 1\n' in page()
    assert 'svc_asked_total{who="ann"} ' not in page()
    assert command(program, "rollback")[0] == 0
    assert 'svc_asked_total{who="ann"} 2\n' in page()
    route.unlink()
    assert command(program, "reload", "--drop")[0] == 0
    assert "svc_asked_total" not in page() and 'script="routes/asked"' not in page()
    assert page().count("ras_scripts_info{") == 1


def test_topics_are_followed_and_left_with_the_scripts(service, scripts):
    assert assign(service, "before") == "file"
    handler = scripts.folder / "scripts" / HANDLER
    text = handler.read_text()
    handler.unlink()
    assert command(service.program, "reload", "--drop")[1]["dropped"] == [f"topic {SLOTS}"]
    service.publish([slot_event("a-batch", "meanwhile", "file")])
    record = next(record for record in read_records("current") if record["topic"] != SLOTS)
    service.publish([record])
    service.wait_committed(2)
    assert filename_of(service, "meanwhile") is None
    assert service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0
    handler.write_text(text)
    reload(service.program)
    assert wait_until("the event that came meanwhile",
                      lambda: filename_of(service, "meanwhile")) == "file"


class Held:
    """A program one of whose transactions hangs: a lock of ours holds up its row, and what comes
    after it is handled meanwhile. Releases it in the end."""

    def __init__(self, service, program, before, after):
        self.service, self.program = service, program
        assign(service, "locked")
        self.lock = psycopg2.connect(service.database_url)
        self.lock.cursor().execute(
            "SELECT FROM essay_results WHERE essay_id = 'locked' FOR UPDATE")
        service.publish([slot_event("a-batch", "locked", "second", second=9)] + before)
        wait_until("the transaction that hangs", lambda: service.query(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"))
        taken = program.metric("ras_script_duration_seconds_count")
        service.publish(after)
        wait_until("what is handled behind it", lambda: program.metric(
            "ras_script_duration_seconds_count") == taken + len(after))

    def release(self):
        self.lock.close()


def test_a_worker_switches_scripts_while_a_transaction_hangs(service, scripts):
    held = Held(service, service.program, [], [slot_event("a-batch", "behind", "file")])
    scripts.name_files("new ")
    reload(service.program)
    service.publish([slot_event("a-batch", "after", "file")])
    assert filename_of(service, "behind") is None
    held.release()
    service.wait_committed(4)
    assert filename_of(service, "locked") == "second"
    assert filename_of(service, "behind") == "file"
    assert filename_of(service, "after") == "new file"
    assert service.query("SELECT sum(applied), sum(next_offset) FROM aggregator_state.consumer_offsets "
                         "WHERE next_offset > 0")[0] == (4, 4)


def test_new_scripts_are_not_blamed_for_what_the_old_ones_rejected(bare_service, scripts):
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n"
                 "    if event.filename == 'bad' then error('on purpose') end\n")
    program = bare_service.start(INGEST_BREAKER_SHARE_PERCENT="100", SCRIPTS_TRIAL_S="2",
                                 **scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"good {n}", "file") for n in range(500)])
    bare_service.wait_committed(500)
    held = Held(bare_service, program, [],
                [slot_event("a-batch", f"bad {n}", "bad") for n in range(60)])
    scripts.name_files("new ")
    reload(program)
    held.release()
    bare_service.wait_committed(562)
    wait_until("the end of the bake", lambda: log_lines(
        program, "the new scripts passed their bake"))
    assert program.metric("ras_rejected_messages_total") == 60
    assert program.metric("ras_script_generation") == 2


def test_events_refused_by_the_database_are_handled_by_the_new_scripts(service, scripts):
    with psycopg2.connect(service.database_url) as connection:
        connection.cursor().execute(
            "ALTER TABLE essay_results ADD CHECK (filename <> 'refused')")
    held = Held(service, service.program, [], [slot_event("a-batch", "behind", "refused")])
    scripts.name_files("new ")
    reload(service.program)
    held.release()
    service.wait_committed(3)
    assert filename_of(service, "behind") == "new refused"
    assert service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0


class Flow:
    """A thousand events more each time, published while something else is done."""

    def __init__(self, service):
        self.service, self.count = service, 0
        self.path = service.folder / "flow.jsonl"

    def begin(self):
        numbers = range(self.count, self.count + 1000)
        self.path.write_text("".join(
            json.dumps(slot_event(f"batch{n % 50}", f"essay {n}", "file")) + "\n" for n in numbers))
        self.count += 1000
        self.feeder = self.service.feed(self.path, rate=2000, wait=False)

    def end(self):
        assert self.feeder.wait() == 0


def test_reloads_under_load_lose_no_event_and_fail_no_request(bare_service, scripts):
    """Two alternating generations that differ in every row."""
    program = bare_service.start(INGEST_WORKERS="2", **scripts.env)
    bare_service.wait_ready()
    flow, answers, ended = Flow(bare_service), [], threading.Event()

    def ask():
        while not ended.is_set():
            answers.append(program.get("/internal/v1/batches/batch1/status")[0])

    readers = [threading.Thread(target=ask) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 12):
        flow.begin()
        bare_service.wait_committed(flow.count - 900)
        scripts.name_files(("odd ", "even ")[number % 2])
        assert reload(program)["generation"] == number
        flow.end()
    bare_service.wait_committed(flow.count)
    ended.set()
    for reader in readers:
        reader.join()
    assert answers and set(answers) <= {200, 404}
    names = dict(bare_service.query("SELECT filename, count(*) FROM essay_results GROUP BY 1"))
    assert sum(names.values()) == flow.count
    assert names.keys() == {"file", "odd file", "even file"}
    assert bare_service.query(
        "SELECT sum(applied), sum(rejected + ignored + duplicate + superseded) "
        "FROM aggregator_state.consumer_offsets")[0] == (flow.count, 0)

"""Scripts and settings are replaced while the program runs: all or none. test_reload_under_load.py
has the events and requests meanwhile."""
import signal

import pytest
from harness import API_KEYS, database_away, edited_config, log_lines, read_records, slot_event
from scripts_copy import HANDLER, SLOTS, assign, break_slots, command, filename_of, reload
from stack import HEADERS, wait_until


@pytest.fixture
def service(bare_service, own_scripts):
    bare_service.start(**own_scripts.env)
    bare_service.wait_ready()
    return bare_service


def test_events_after_a_reload_are_handled_by_the_new_scripts(service, own_scripts):
    assert assign(service, "before") == "file"
    own_scripts.name_files("new ")
    said = reload(service.program)
    assert said["generation"] == 2 and said["workers"] == 1
    assert said["changed"] == [str(own_scripts.folder / "scripts" / HANDLER)]
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
def test_invalid_scripts_change_nothing(service, own_scripts, file, old, new, reason):
    path = own_scripts.folder / file
    path.write_text(path.read_text().replace(old, new, 1))
    status, said = command(service.program, "reload")
    assert status == 1 and said["done"] is False and said["generation"] == 1
    assert reason in said["error"]
    assert service.program.metric("ras_script_generation") == 1
    assert assign(service, "still") == "file"
    own_scripts.restore(file)
    own_scripts.name_files("mended ")
    assert reload(service.program)["generation"] == 2


def test_responses_of_the_previous_scripts_are_not_served_again(service, own_scripts):
    service.publish([record for record in read_records("current")][:3])
    service.wait_committed(1)
    batch = service.query("SELECT batch_id FROM batch_results")[0][0]
    path = f"/internal/v1/batches/{batch}/status"
    for _ in range(2):  # the second one from the cache
        assert service.program.get(path)[0] == 200
    own_scripts.edit("scripts/routes/batch_status.lua", "handle = function(request)",
                     'handle = function(request)\n    if request then return '
                     '{ status = 200, body = "{}", tags = {} } end')
    reload(service.program)
    assert service.program.get(path)[:2] == (200, b"{}")


def test_a_signal_reloads(service, own_scripts):
    own_scripts.name_files("by signal ")
    service.program.send(signal.SIGHUP)
    wait_until("the reload", lambda: service.program.metric("ras_script_generation") == 2)
    assert assign(service, "after") == "by signal file"


def test_status_tells_a_fleet_that_runs_different_scripts(service, own_scripts):
    assert assign(service, "before") == "file"
    first = command(service.program, "status", "--json")[1]["partitions_handled_by"]
    assert [one["partitions"] for one in first] == [1]
    own_scripts.name_files("new ")
    fresh = reload(service.program)["hash"]
    service.publish([record for record in read_records("current") if record["topic"] != SLOTS][:1])
    service.wait_committed(2)
    both = command(service.program, "status", "--json")[1]["partitions_handled_by"]
    assert {one["hash"] for one in both} == {first[0]["hash"], fresh}


def test_an_author_sees_changes_without_a_command(bare_service, own_scripts):
    program = bare_service.prepare(**own_scripts.env)
    program.options += ["--watch"]
    program.start()
    bare_service.wait_ready()
    own_scripts.edit(f"scripts/{HANDLER}", "return {", "return broken {")
    wait_until("the error", lambda: log_lines(program, "the scripts were not replaced"))
    own_scripts.name_files("watched ")
    wait_until("the reload", lambda: program.metric("ras_script_generation") == 2)
    assert assign(bare_service, "after") == "watched file"
    assert len(log_lines(program, "the scripts were not replaced")) == 1


def test_settings_that_can_change_do_and_the_others_are_named(bare_service, own_scripts):
    config = bare_service.folder / "own.lua"
    edited_config(config)
    program = bare_service.start(config, **own_scripts.env)
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


def lets_in(program, key):
    """Only a 401 counts: the route may lack its database."""
    path = "/internal/v1/batches/x/status"
    return program.get(path, HEADERS | {"X-Internal-API-Key": key})[0] != 401


def test_an_author_sees_a_change_that_an_outage_kept_back(bare_service, own_scripts):
    program = bare_service.prepare(**own_scripts.env)
    program.options += ["--watch"]
    program.start()
    bare_service.wait_ready()
    with database_away(bare_service):
        own_scripts.name_files("kept back ")
        wait_until("the error", lambda: log_lines(program, "the scripts were not replaced"))
    wait_until("the reload", lambda: program.metric("ras_script_generation") == 2)
    assert assign(bare_service, "after") == "kept back file"


def test_a_revoked_key_is_refused_even_if_the_scripts_are(bare_service, own_scripts):
    """Not without a database, with bad scripts, or after a rollback."""
    config = bare_service.folder / "own.lua"
    edited_config(config, (API_KEYS, 'api_keys = { "leaked" }'))
    program = bare_service.start(config, **own_scripts.env)
    bare_service.wait_ready()
    assert lets_in(program, "leaked")
    edited_config(config, (API_KEYS, 'api_keys = { "second" }'))
    with database_away(bare_service):
        assert reload(program)["settings"] == ["http.api_keys"]
        assert lets_in(program, "second") and not lets_in(program, "leaked")
        edited_config(config, (API_KEYS, 'api_keys = { "third" }'))
        own_scripts.name_files("new ")
        assert command(program, "reload")[0] == 1
        assert lets_in(program, "third") and not lets_in(program, "second")
        assert command(program, "rollback")[0] == 0
        assert lets_in(program, "third") and not lets_in(program, "leaked")
    edited_config(config, (API_KEYS, 'api_keys = { "fourth" }'))
    own_scripts.edit("scripts/view.lua", "return", "retrun")
    assert command(program, "reload")[0] == 1
    assert lets_in(program, "fourth") and not lets_in(program, "third")


def test_log_options_of_the_command_line_survive_a_reload(bare_service, own_scripts):
    program = bare_service.prepare(**own_scripts.env)
    program.options += ["--log=text"]
    program.start()
    bare_service.wait_ready()
    own_scripts.name_files("new ")
    reload(program)
    line, = [line for line in program.log.read_text().splitlines() if "the scripts were replaced" in line]
    assert not line.startswith("{")


def test_a_reload_closes_the_breaker_that_the_scripts_had_opened(bare_service, own_scripts):
    break_slots(own_scripts)
    program = bare_service.start(INGEST_BREAKER_WINDOW_EVENTS="10", **own_scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(100)])
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)
    own_scripts.name_files("mended ")
    reload(program)
    bare_service.wait_committed(100)
    assert program.metric("ras_breaker_open") == 0
    assert program.get("/readyz")[0] == 200


def test_calls_errors_and_memory_are_counted_by_script(bare_service, own_scripts):
    break_slots(own_scripts)
    program = bare_service.start(**own_scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(3)])
    bare_service.wait_committed(3)
    text = program.get("/metrics")[1].decode()
    script = '{script="handlers/essay_slot_assigned"}'
    assert f"ras_script_errors_total{script} 3\n" in text
    assert f"ras_script_duration_seconds_count{script} 3\n" in text
    assert program.metric("ras_script_memory_bytes") > 10000


def test_running_topics_and_paths_are_dropped_only_with_drop(service, own_scripts):
    """A topic, a reaction, a path of a route, its stream, or all of them, as in an emptied folder."""
    program = service.program
    (own_scripts.folder / "scripts" / HANDLER).unlink()
    (own_scripts.folder / "scripts/reactions/results_ready.lua").unlink()
    lists = own_scripts.folder / "scripts/routes/user_batches.lua"
    stream = "/internal/v1/batches/user/{user_id}/events"
    assert f'  live = "{stream}",\n' in lists.read_text()
    lists.write_text(lists.read_text().replace(f'  live = "{stream}",\n', ""))
    route = "scripts/routes/batch_status.lua"
    text = (own_scripts.folder / route).read_text()
    assert '"/internal/v1/batches/{batch_id}/status"' in text
    (own_scripts.folder / route).write_text(text.replace(
        '"/internal/v1/batches/{batch_id}/status"', '"/internal/v1/batches/{batch_id}/state"'))
    (own_scripts.folder / "scripts/openapi.json").unlink()  # it describes the path
    status, said = command(program, "reload")
    assert status == 1 and said["done"] is False and "reload --drop" in said["error"]
    dropped = [f"topic {SLOTS}", "reaction reactions/results_ready",
               "GET /internal/v1/batches/{batch_id}/status", f"GET {stream}"]
    assert all(what in said["error"] for what in dropped), said
    status, said = command(program, "reload", "--drop")
    assert status == 0 and said["dropped"] == dropped
    assert log_lines(program, "the reload drops topics, reactions or paths")
    for file in (own_scripts.folder / "scripts/routes").iterdir():
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


def test_metrics_come_and_go_with_the_scripts_that_declare_them(service, own_scripts):
    """A further label is accepted; a refused or compared set leaves no metric."""
    program = service.program
    route = own_scripts.folder / "scripts/routes/asked.lua"
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
    own_scripts.name_files("new ")
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


def test_topics_are_followed_and_left_with_the_scripts(service, own_scripts):
    assert assign(service, "before") == "file"
    handler = own_scripts.folder / "scripts" / HANDLER
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

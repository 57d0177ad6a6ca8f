"""Administration does not wait for a script that hangs: verbs respond at once, and new scripts
run."""
import json
import threading

import pytest
from harness import await_hang, edited_config, let_go, log_lines, slot_event
from scripts_copy import HANDLER
from stack import wait_until

OTHER_BATCH = "/internal/v1/batches/another/status"


@pytest.fixture
def start(bare_service, own_scripts, faulty_build, fifo):
    """Starts a program whose first call of that kind hangs."""

    def start_at(fault, config=None, **env):
        bare_service.build = faulty_build
        program = bare_service.start(config, **own_scripts.env, AGGREGATOR_FAULT=f"{fault}:1:HANG",
                                     AGGREGATOR_FAULT_FIFO=str(fifo), SCRIPTS_STUCK_EXIT_S="0",
                                     **env)
        bare_service.wait_ready()
        return program

    return start_at


def ask(program, *words):
    """(exit status, output) of a command that must end, though the call hangs until the test lets it go."""
    done = program.command(*words, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout)


def check_administration(program, own_scripts, late_workers):
    """Reloads, reads the status, and rolls back; each must end."""
    own_scripts.name_files("new ")
    status, said = ask(program, "reload")
    assert status == 0 and said["done"] and said["waiting_workers"] >= late_workers, said
    assert [one["generation"] for one in ask(program, "status", "--json")[1]["generations"]] == [2, 1]
    status, said = ask(program, "rollback")
    assert status == 0 and said["generation"] == 1, said
    assert ask(program, "status", "--json")[1]["generations"][0]["generation"] == 1
    assert ask(program, "rollback", 2)[1]["done"] is True


def test_a_route_that_hangs_delays_no_reload_status_or_rollback(start, own_scripts, fifo):
    program = start("route", AGGREGATOR_SCRIPTS_ROUTE_TIMEOUT_MS="60000",
                    AGGREGATOR_HTTP_REQUEST_TIMEOUT_MS="60000")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(program.get(OTHER_BATCH)))
    asking.start()
    await_hang(program, "route")
    check_administration(program, own_scripts, 0)
    assert program.get(OTHER_BATCH)[0] == 404  # by the new scripts
    assert not answers
    let_go(fifo)
    asking.join()
    assert answers[0][0] == 404


def test_a_handler_that_hangs_holds_up_no_reload_status_or_rollback(bare_service, start, own_scripts,
                                                                    fifo):
    program = start("handler")
    bare_service.publish([slot_event("a-batch", "an-essay", "file")])
    await_hang(program, "handler")
    check_administration(program, own_scripts, 1)
    let_go(fifo)
    bare_service.wait_committed(1)
    bare_service.publish([slot_event("a-batch", "another", "file")])
    bare_service.wait_committed(2)
    assert bare_service.query("SELECT filename FROM essay_results ORDER BY essay_id") == \
        [("file",), ("new file",)]


def test_scripts_offered_while_a_worker_switches_are_taken_next(bare_service, start, own_scripts, fifo):
    program = start("script_switch")
    own_scripts.name_files("second ")
    assert ask(program, "reload")[1]["waiting_workers"] == 1
    await_hang(program, "script_switch")
    own_scripts.name_files("third ")
    assert ask(program, "reload")[1]["waiting_workers"] == 1
    let_go(fifo)
    wait_until("both switches", lambda: len(log_lines(program, "worker switched scripts")) == 2)
    bare_service.publish([slot_event("a-batch", "an-essay", "file")])
    bare_service.wait_committed(1)
    assert bare_service.query("SELECT filename FROM essay_results") == [("third file",)]


def test_a_program_leaves_its_group_and_ends_though_a_route_hangs(bare_service, start):
    config = edited_config(bare_service.folder / "quick.lua",
                           ("request_timeout_ms = 10000", "request_timeout_ms = 100"))
    program = start("route", config)
    threading.Thread(target=lambda: program.get(OTHER_BATCH), daemon=True).start()
    await_hang(program, "route")
    assert program.stop() == 70
    assert log_lines(program, "a script or command call is stuck: the process exits without "
                     "waiting for it")


def test_a_start_that_fails_is_told_from_one_that_is_ended(bare_service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "return {", "return nothing {")
    program = bare_service.prepare(**own_scripts.env)
    done = program.command("run", check=False, timeout=120)
    assert done.returncode == 1 and "cannot start" in done.stderr


# ---- a time limit that went by in a statement --------------------------------------------------

SLOW_ROUTE = """
local pg = require("pg")
return { path = "/slow/{seconds}", auth = false, handle = function(request)
  pg.query("slow", { seconds = request.params.seconds })
  while true do end
end }
"""
SLOW_SQL = "SELECT pg_sleep(:seconds::float8)::text AS slept\n"


@pytest.fixture
def slow_program(bare_service, own_scripts):
    own_scripts.write("scripts/routes/slow.lua", SLOW_ROUTE)
    own_scripts.write("sql/queries/slow.sql", SLOW_SQL)
    program = bare_service.start(**own_scripts.env, AGGREGATOR_SCRIPTS_ROUTE_TIMEOUT_MS="1000")
    bare_service.wait_ready()
    return program


@pytest.mark.parametrize("seconds", [0.9, 5])
def test_a_route_whose_time_went_into_a_statement_is_unavailable_and_no_script_error(
        slow_program, seconds):
    status, _, headers = slow_program.get(f"/slow/{seconds}")
    assert status == 503 and int(headers["Retry-After"]) > 0
    line, = [line for line in log_lines(slow_program, "request failed")
             if line.get("unavailable") == "timeout"]
    assert "for outside systems" in line["error"], line
    assert slow_program.sum_cells('ras_script_errors_total{script="routes/slow"}') == 0


def test_a_route_that_used_its_time_itself_is_a_script_error(slow_program):
    assert slow_program.get("/slow/0")[0] == 500
    assert slow_program.sum_cells('ras_script_errors_total{script="routes/slow"}') == 1

"""New scripts are watched for a time, and rolled back if they reject more than those before."""
import re

import pytest
from harness import log_lines, of_threads, read_records, slot_event
from scripts_copy import HANDLER, assign, break_slots, command, filename_of, reload
from stack import wait_until

BATCHES = "huleedu.batch.essays.registered.v1"
BAKE_FAILED = "the bake of the new scripts failed"


def test_a_bake_does_not_judge_the_breaker_of_the_scripts_before(bare_service, own_scripts):
    """The worker is busy in a handler while the bake looks, and has not switched yet."""
    break_slots(own_scripts)
    own_scripts.edit("scripts/handlers/batch_registered.lua", "handle = function(event, view)\n",
                     "handle = function(event, view)\n    local clock = require('clock')\n"
                     "    local ends = clock.monotonic() + 1\n"
                     "    while clock.monotonic() < ends do end\n")
    program = bare_service.start(INGEST_BREAKER_WINDOW_EVENTS="10", SCRIPTS_HANDLER_TIMEOUT_MS="5000",
                                 **own_scripts.env)
    bare_service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(100)])
    wait_until("the breaker", lambda: program.metric("ras_breaker_open") == 1)
    own_scripts.name_files("mended ")
    bare_service.publish([record for record in read_records("current")
                          if record["topic"] == BATCHES])
    reload(program)
    wait_until("the essays", lambda: filename_of(bare_service, "essay 99"))
    assert command(program, "status", "--json")[1]["generations"][0]["generation"] == 2


def bad_generation(service, own_scripts, **env):
    """A program on whose scripts a reload has brought ones that reject every event."""
    program = service.start(**own_scripts.env, **env)
    service.wait_ready()
    service.publish([slot_event("a-batch", f"good {n}", "file") for n in range(50)])
    service.wait_committed(50)
    break_slots(own_scripts)
    reload(program)
    service.publish([slot_event("a-batch", f"essay {n}", "file") for n in range(60)])
    return program


@pytest.mark.parametrize("breaker", ["50", "100"])
def test_scripts_that_reject_more_than_those_before_are_rolled_back(bare_service, own_scripts, breaker):
    """With the breaker on and off."""
    program = bad_generation(bare_service, own_scripts, INGEST_BREAKER_SHARE_PERCENT=breaker)
    wait_until("the rollback", lambda: program.metric("ras_script_generation") == 1)
    bare_service.wait_committed(110)
    assert program.metric("ras_breaker_open") == 0
    line, = [line for line in log_lines(program) if line["message"].startswith(BAKE_FAILED)]
    assert line["level"] == "error" and line["reason"]
    status = command(program, "status", "--json")[1]
    assert [one["generation"] for one in status["generations"]] == [1, 2]
    assert assign(bare_service, "after") == "file"


def test_without_a_bake_nothing_is_rolled_back(bare_service, own_scripts):
    program = bad_generation(bare_service, own_scripts, INGEST_BREAKER_SHARE_PERCENT="100",
                             SCRIPTS_TRIAL_S="0")
    bare_service.wait_committed(110)
    wait_until("the count", lambda: program.metric("ras_rejected_messages_total") == 60)
    assert program.metric("ras_script_generation") == 2


def await_looks_at_the_bake(program, looks=4):
    """Its thread sleeps once before each look, and seldom for a lock."""
    pid = program.process.pid
    thread, = (number for number, name in of_threads(pid, "comm").items() if name == "generations\n")

    def sleeps():
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", of_threads(pid, "status")[thread], re.M)[1])

    before = sleeps()
    wait_until("looks at the bake", lambda: sleeps() >= before + looks)


def test_scripts_that_reject_no_more_than_those_before_stay(bare_service, own_scripts):
    """Events rejected before the reload do not count for the new scripts."""
    break_slots(own_scripts)
    program = bare_service.start(INGEST_BREAKER_SHARE_PERCENT="100", SCRIPTS_TRIAL_S="600",
                                 **own_scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"first {n}", "file") for n in range(50)])
    bare_service.wait_committed(50)
    own_scripts.edit(f"scripts/{HANDLER}", "on purpose", "on purpose again")
    reload(program)
    bare_service.publish([slot_event("a-batch", f"second {n}", "file") for n in range(50)])
    wait_until("the rejections", lambda: program.metric("ras_rejected_messages_total") == 100)
    await_looks_at_the_bake(program)
    assert not [line for line in log_lines(program) if line["message"].startswith(BAKE_FAILED)]
    assert program.metric("ras_script_generation") == 2


def test_scripts_pass_a_bake_without_events(bare_service, own_scripts):
    program = bare_service.start(SCRIPTS_TRIAL_S="1", **own_scripts.env)
    own_scripts.name_files("new ")
    reload(program)
    wait_until("the end of the bake", lambda: log_lines(program, "the new scripts passed their bake"))
    assert program.metric("ras_script_generation") == 2

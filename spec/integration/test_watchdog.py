"""A script that hangs in a C function: the process reports it, everything else goes on, and the
process exits if it does not end. Needs the fault points of host/base/fault.h."""
import json
import signal
import threading

import pytest
from harness import await_hang, let_go, log_lines, slot_event
from stack import wait_until
from test_group import held

HANDLER = "handlers/essay_slot_assigned"
OTHER_BATCH = "/internal/v1/batches/another/status"


@pytest.fixture
def service(bare_service, faulty_build, fifo):
    """A program whose first event hangs in its handler until let_go."""
    bare_service.env = {"AGGREGATOR_FAULT": "handler:1:HANG", "AGGREGATOR_FAULT_FIFO": str(fifo),
                        "SCRIPTS_STUCK_UNREADY_S": "1", "SCRIPTS_STUCK_EXIT_S": "0"}
    bare_service.build = faulty_build
    return bare_service


def start(service, **env):
    program = service.start(**(service.env | env))
    service.wait_ready()
    return program


def hang(service):
    """Publishes an event that hangs."""
    event = slot_event("a-batch", "an-essay", "file")
    service.publish([event])
    return event["value"]["event_id"]


def stuck(program):
    """(status, the stuck calls) of /readyz."""
    status, body, _ = program.get("/readyz")
    return status, json.loads(body)["scripts"].get("stuck", [])


def test_a_script_that_hangs_makes_the_process_unready_until_it_ends(service, fifo):
    program = start(service)
    event_id = hang(service)
    wait_until("the watchdog", lambda: stuck(program)[0] == 503)
    call = stuck(program)[1][0]
    assert call["script"] == HANDLER and call["file"].endswith(f"scripts/{HANDLER}.lua")
    assert call["event_id"] == event_id and call["running_ms"] >= 2000 > call["limit_ms"] - 1
    assert program.metric("ras_stuck_scripts") == 1
    said = log_lines(program, "a script is stuck in a C function; the process is not ready until it "
                              "returns")
    assert [(line["level"], line["script"], line["event_id"]) for line in said] == \
        [("error", HANDLER, event_id)]
    status = json.loads(program.command("status", "--json", check=False).stdout)
    assert status["ready"] is False and status["health"]["scripts"]["stuck"][0]["script"] == HANDLER
    # The rest goes on.
    assert program.get("/healthz")[0] == 200 and program.get(OTHER_BATCH)[0] == 404
    let_go(fifo)
    service.wait_ready()
    service.wait_committed(1)
    assert service.query("SELECT filename FROM essay_results") == [("file",)]
    assert len(log_lines(program, "a stuck script returned")) == 1
    wait_until("the metric", lambda: program.metric("ras_stuck_scripts") == 0)


def test_other_workers_go_on_beside_a_script_that_hangs(service):
    program = start(service, INGEST_WORKERS="3")
    wait_until("partitions of each worker", lambda: len(held(program)) == 3 and min(held(program)) > 0)
    hang(service)
    wait_until("the watchdog", lambda: stuck(program)[0] == 503)
    # Whatever partitions they have.
    service.publish([slot_event("a-batch", f"essay-{number}", "file") for number in range(30)])
    service.wait_committed(1)
    assert stuck(program)[0] == 503


def test_a_route_that_hangs_is_named(service, fifo):
    program = start(service, AGGREGATOR_FAULT="route:1:HANG")
    asking = threading.Thread(target=program.get, args=(OTHER_BATCH,))
    asking.start()
    wait_until("the watchdog", lambda: stuck(program)[0] == 503)
    call = stuck(program)[1][0]
    assert call["script"] == "routes/batch_status" and "event_id" not in call
    let_go(fifo)
    asking.join()
    service.wait_ready()


def test_a_stop_that_does_not_end_is_ended(service):
    """By its limit of 45 s, which is what this test takes: the watchdog looks away."""
    program = start(service, SCRIPTS_STUCK_UNREADY_S="3600", AGGREGATOR_HTTP_DRAIN_TIMEOUT_MS="0")
    hang(service)
    await_hang(program, "handler")
    program.send(signal.SIGTERM)
    assert program.process.wait(timeout=120) == 130
    assert service.committed_events() == 0
    program.env["AGGREGATOR_FAULT"] = "handler:0:HANG"  # a script that was mended
    program.start()
    service.wait_committed(1)


def test_a_script_that_never_ends_ends_the_process_and_nothing_is_lost(service):
    program = start(service, SCRIPTS_STUCK_EXIT_S="2")
    event_id = hang(service)
    assert program.process.wait(timeout=60) == 70
    said = [line for line in log_lines(program) if line["message"].startswith("the process exits because")]
    assert [(line["level"], line["script"], line["event_id"]) for line in said] == \
        [("error", HANDLER, event_id)]
    assert service.committed_events() == 0
    program.env["AGGREGATOR_FAULT"] = "handler:0:HANG"  # a script that was mended
    program.start()
    service.wait_committed(1)
    assert service.query("SELECT filename FROM essay_results") == [("file",)]

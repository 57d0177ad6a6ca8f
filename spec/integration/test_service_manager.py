"""The protocol of systemd, spoken with a datagram socket of the test's."""
import time

from harness import log_lines
from stack import wait_until


def test_it_tells_when_it_serves_and_when_it_stops(bare_service, manager):
    program = bare_service.prepare(**manager.env).start(wait=False)
    ready = manager.wait_for(READY="1")
    assert program.get("/healthz")[0] in (200, 503), "it is ready once it answers"
    assert ready["STATUS"].startswith(f"Serves port {program.port}, runs scripts ")
    assert program.stop() == 0
    stopping = manager.wait_for(STOPPING="1")
    assert stopping["STATUS"] == "Finishes requests and leaves the consumer group"


def test_a_reload_begins_and_ends(bare_service, manager):
    program = bare_service.prepare(**manager.env).start()
    manager.wait_for(READY="1")
    before_us = time.monotonic_ns() // 1000
    program.command("reload", check=False)
    messages = [message for message in manager.read() if {"READY", "RELOADING"} & message.keys()]
    assert [next(iter(message)) for message in messages] == ["READY", "RELOADING", "READY"]
    assert before_us < int(messages[1]["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000
    assert messages[2]["STATUS"].startswith("Runs scripts ")


def test_it_proves_that_it_lives(bare_service, manager):
    bare_service.prepare(WATCHDOG_USEC="300000", **manager.env).start()
    wait_until("five proofs", lambda: sum("WATCHDOG" in message for message in manager.read()) >= 5)


def test_no_proof_is_asked_of_another_process(bare_service, manager):
    program = bare_service.prepare(WATCHDOG_USEC="30000", WATCHDOG_PID="1", **manager.env).start()
    manager.wait_for(READY="1")
    assert program.stop() == 0
    assert not any("WATCHDOG" in message for message in manager.read())


def test_a_service_manager_that_is_gone_is_a_warning(bare_service, tmp_path):
    program = bare_service.prepare(NOTIFY_SOCKET=str(tmp_path / "none")).start()
    wait_until("the log", lambda: log_lines(program, "the service manager cannot be notified"))

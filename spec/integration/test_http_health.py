"""The probes of the running program: what they say while servers are away, and what they cost."""
import contextlib
import os
import signal
import subprocess
import time

import http_client
import pytest
from stack import wait_until


@pytest.fixture(scope="module")
def program(world):
    return world.start(env={"LOG_LEVEL": "DEBUG"}).wait_batch()


def test_healthz_has_the_platforms_form(program):
    for path in ("/healthz", "/readyz"):
        answer = program.ask(path, headers=b"")
        body = answer.json()
        assert answer.status == 200
        assert answer.header("Cache-Control") == "no-store" and answer.header("ETag") is None
        assert list(body)[:7] == ["service", "status", "message", "version", "environment",
                                  "checks", "dependencies"]
        assert body["status"] == "healthy" and body["version"] == "1.0.0"
        assert body["message"] == f"{body['service'].replace('_', ' ').title()} is healthy"
        assert body["checks"] == {"service_responsive": True, "dependencies_available": True}
        assert {name: value["status"] for name, value in body["dependencies"].items()} == {
            "database": "healthy", "redis": "healthy", "kafka": "healthy"}
        assert body["scripts"]["generation"] == 1


def test_many_probes_cost_one_check_a_second(program):
    def probes():
        return program.samples()['ras_db_operations_total{operation="health",status="success"}']

    before, began = probes(), time.monotonic()
    with program.client() as client:
        for _ in range(3000):
            client.request("/readyz")
            assert client.answer().status == 200
    assert probes() - before <= time.monotonic() - began + 2


def test_without_redis_it_is_ready_and_says_so(world):
    program = world.start(env={"REDIS_URL": "redis://127.0.0.1:1"}).wait_ready()
    body = program.ask("/readyz").json()
    assert body["status"] == "degraded" and body["checks"]["dependencies_available"] is True
    assert body["dependencies"]["redis"]["status"] == "degraded"
    assert body["dependencies"]["redis"]["reason"]
    assert program.stop() == 0


def test_without_kafka_it_is_alive_and_not_ready(world):
    program = world.start(brokers="127.0.0.1:1")
    wait_until("a look", lambda: program.ask("/healthz").json()["dependencies"])
    answer = program.ask("/readyz")
    assert answer.status == 503 and answer.header("Retry-After") == "1"
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["checks"]["dependencies_available"] is False
    assert answer.json()["dependencies"]["kafka"]["status"] == "unhealthy"
    assert answer.json()["dependencies"]["database"]["status"] == "healthy"
    assert program.ask("/healthz").status == 200
    assert program.stop() == 0


def test_readiness_reports_a_check_just_made(world):
    """The oldest that it reports between two checks, where the busy machine delays least."""
    program = world.start(brokers="127.0.0.1:1")
    ages_ms = [[0]]  # of each check

    def unready_for_some_checks():
        body = program.ask("/readyz").json()
        assert body["status"] == "unhealthy"
        if body["checked_ms_ago"] < ages_ms[-1][-1]:
            ages_ms.append([])
        ages_ms[-1].append(body["checked_ms_ago"])
        return len(ages_ms) > 6

    wait_until("a few checks", unready_for_some_checks)
    assert min(max(ages) for ages in ages_ms[1:-1]) < 500
    assert program.stop() == 0


def freeze(postgres, number):
    """Signals the server and all its processes."""
    parent = postgres.process.pid
    os.kill(parent, number)  # first: it starts no process that is not seen below
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True,
                              check=True).stdout.split()
    for pid in map(int, children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_readiness_follows_the_database():
    with http_client.servers(own_postgres=True) as made:
        program = made.start().wait_ready()

        def database():
            return program.ask("/readyz").json()["dependencies"]["database"]

        freeze(made.postgres, signal.SIGSTOP)  # the port takes connections, and nobody answers
        wait_until("unreadiness", lambda: program.ask("/readyz").status == 503)
        assert database()["status"] == "unhealthy" and database()["reason"]
        assert program.ask("/healthz").status == program.ask("/readyz").status == 503
        freeze(made.postgres, signal.SIGCONT)
        program.wait_ready()
        made.postgres.stop()
        wait_until("unreadiness", lambda: program.ask("/readyz").status == 503)
        assert "database" in database()["reason"]
        made.postgres.start()
        program.wait_ready()

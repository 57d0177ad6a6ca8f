"""API keys and service names: who is let in, and what a refusal says, counts and logs."""
import uuid

import pytest
from harness import log_lines
from http_client import LIST, STATUS


def keys(key="test-key", service="api-gateway-service"):
    return b"X-Internal-API-Key: %s\r\nX-Service-ID: %s\r\n" % (key.encode(), service.encode())


@pytest.fixture(scope="module")
def program(world):
    return world.start(env={"LOG_LEVEL": "DEBUG"}).wait_batch()


@pytest.mark.parametrize("headers, message", [
    (b"", "Missing authentication"),
    (b"X-Internal-API-Key: test-key\r\n", "Missing authentication"),
    (b"X-Service-ID: api-gateway-service\r\n", "Missing authentication"),
    (b"X-Internal-API-Key: wrong\r\n", "Missing authentication"),
    (keys(key=""), "Missing authentication"), (keys(service="  "), "Missing authentication"),
    (keys(key="wrong"), "Invalid credentials"), (keys(key="TEST-KEY"), "Invalid credentials"),
    (keys(key="test-key2"), "Invalid credentials"), (keys(key="test-ke"), "Invalid credentials"),
    (keys(key="old-key,test-key"), "Invalid credentials"),
    (keys(key="k" * 8000), "Invalid credentials"),
    (keys(service="API-GATEWAY-SERVICE"), "Invalid credentials"),
    (keys(service="somebody"), "Invalid credentials")])
def test_credentials_are_refused(program, headers, message):
    for path in (STATUS, "/batches/unknown/status", LIST, LIST + "?limit=0"):
        answer = program.ask(path, headers=headers)
        assert (answer.status, answer.json()) == (401, {"error": message})
        assert answer.header("WWW-Authenticate")


def test_every_key_and_allowed_service_is_accepted(program):
    for key in ("old-key", "test-key"):
        for service in ("api-gateway-service", "admin-dashboard-service", "bff-teacher-service"):
            assert program.ask(STATUS, headers=keys(key, service)).status == 200
    assert program.ask(STATUS, headers=keys().upper().replace(b"TEST-KEY", b"test-key").replace(
        b"API-GATEWAY-SERVICE", b"api-gateway-service")).status == 200


def test_credentials_reach_no_log(world):
    program = world.start(env={"LOG_LEVEL": "DEBUG"})
    for headers in (keys(), keys(key="a-wrong-secret"), keys(service="an-unknown-service"),
                    keys() + b"Bad header\r\n", keys() + keys()):
        for path in (STATUS, LIST + "?limit=x", "/nowhere"):
            program.ask(path, headers=headers)
    assert program.stop() == 0
    log = program.log.read_text()
    assert "request answered" in log and "request refused" in log
    for secret in ("test-key", "old-key", "a-wrong-secret"):
        assert secret not in log


def test_each_refusal_is_counted_by_its_reason_and_leaves_a_line(world):
    program = world.start()
    for reason, said, headers in (
            ("missing_key", "missing_key, service api-gateway-service", keys(key="")),
            ("wrong_key", "wrong_key, service api-gateway-service", keys(key="a-wrong-secret")),
            ("wrong_key", "wrong_key", keys(key="x", service="a-wrong-secret")),
            ("missing_service", "missing_service", keys(service="")),
            ("service_not_allowed", "service_not_allowed, service bff-parent-service",
             keys(service="bff-parent-service"))):
        name = f'ras_api_unauthorized_total{{endpoint="get_batch_status",reason="{reason}"}}'
        before, mine = program.samples().get(name, 0), str(uuid.uuid4())
        headers += f"X-Correlation-ID: {mine}\r\n".encode()
        assert program.ask(STATUS, headers=headers).status == 401
        assert program.samples()[name] == before + 1
        line, = [line for line in log_lines(program) if line.get("correlation_id") == mine]
        assert (line["status"], line["error"]) == (401, said)
    answer = program.ask("/healthz", headers=b"Host: twice\r\n")
    line, = [line for line in log_lines(program)
             if line.get("correlation_id") == answer.header("X-Correlation-ID")]
    assert (line["status"], line["message"]) == (400, "request refused")

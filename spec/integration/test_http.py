"""HTTP of the running program: routes, methods, conditional requests, correlation and connections."""
import json
import re
import signal
import subprocess
import time
import uuid

import http_client
import pytest
import stack
from harness import WAIT_FOR_TEST, log_lines, readers_held, wait_for_held_readers
from http_client import KEYS, KNOWN, LIST, STATUS
from stack import wait_until

EVERY_PATH = [STATUS, f"/batches/{KNOWN}/status", LIST, "/healthz", "/readyz", "/metrics",
              "/openapi.json"]


@pytest.fixture(scope="module")
def program(world):
    return world.start(env={"LOG_LEVEL": "DEBUG"}).wait_batch()


# ---- routes and methods ---------------------------------------------------------------------

@pytest.mark.parametrize("path", EVERY_PATH)
def test_head_is_get_without_a_body(program, path):
    got, head = program.ask(path), program.ask(path, "HEAD")
    assert head.status == got.status == 200 and head.body == b""
    for name in ("Content-Type", "ETag", "Cache-Control"):
        assert head.header(name) == got.header(name)
    assert int(head.header("Content-Length")) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get",
                                    "PROPFIND", "X!#"])
@pytest.mark.parametrize("path", EVERY_PATH)
def test_other_methods_get_405_with_allow(program, method, path):
    answer = program.ask(path, method)
    assert (answer.status, answer.json()) == (405, {"error": "Method not allowed"})
    assert answer.header("Allow") == "GET, HEAD"


def test_options_of_the_server_are_its_methods(program):
    answer = program.ask("*", "OPTIONS", b"")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Allow") == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", [
    "/", "/nowhere", "/healthz/", "/HEALTHZ", STATUS + "/", "/" + STATUS, "/batches//status",
    "/internal/v1/batches/a/b/status", "/internal/v1/../v1/batches/x/status",
    "/internal/v1/batches/user/", "/%68ealthz", "/metrics%2F", "/openapi.json%00"])
def test_other_paths_are_not_found(program, path):
    for method in ("GET", "HEAD", "POST"):
        answer = program.ask(path, method)
        assert answer.status == 404
        assert method == "HEAD" or answer.json() == {"error": "Not found"}


@pytest.mark.parametrize("batch_id", [
    "unknown", "..", "%2e%2e", "a%2Fb", "';%20DROP%20TABLE%20batch_results;--", "%22%7D%5C", "$1",
    "%C3%A5%F0%9F%98%80", "{batch_id}", "*", "x" * 7000])
def test_an_unknown_batch_is_not_found_whatever_its_name(program, batch_id):
    for path in (f"/internal/v1/batches/{batch_id}/status", f"/batches/{batch_id}/status"):
        answer = program.ask(path)
        assert (answer.status, answer.json()) == (404, {"error": "Batch not found"})


@pytest.mark.parametrize("batch_id", ["%00", "%0d%0aX:%20y", "%7f", "%", "%g0", "%c0%af", "%ff",
                                      "%ed%a0%80", "%f4%90%80%80"])
def test_a_name_that_no_batch_can_have_is_a_bad_request(program, batch_id):
    for path in (f"/internal/v1/batches/{batch_id}/status", LIST[:-7] + batch_id):
        answer = program.ask(path)
        assert (answer.status, answer.json()) == (400, {"error": "Invalid path parameter"})


def test_a_long_name_works_like_a_short_one(program, world):
    name = "å/" * 150 + "end"  # 450 + 3 bytes
    world.feed([http_client.registration(name)])
    path = "/internal/v1/batches/" + name.replace("å", "%C3%A5").replace("/", "%2F") + "/status"
    answer = wait_until("the batch", lambda: (lambda a: a.status == 200 and a)(program.ask(path)))
    assert answer.json()["batch_id"] == name


@pytest.mark.parametrize("query, reason", [
    ("limit=1&limit=2", "repeated"), ("limit=1&%6cimit=2", "repeated"), ("limit", "limit"),
    ("limit=0", "limit"), ("limit=101", "limit"), ("limit=1.5", "limit"), ("limit=-1", "limit"),
    ("limit=%201", "limit"), ("limit=99999999999999999999", "limit"), ("offset=-1", "offset"),
    ("offset=x", "offset"), ("status=nothing", "status"), ("status=%27", "status"),
    ("cursor=x", "cursor"), ("a=%zz", "Invalid query"), ("a=%00", "Invalid query"),
    ("%ff=1", "Invalid query"), ("lmit=5", 'did you mean "limit"'), ("x" * 7000, "Unknown"),
    ("&".join(f"p{i}=1" for i in range(17)), "Too many")])
def test_a_bad_query_is_refused_with_its_reason(program, query, reason):
    answer = program.ask(f"{LIST}?{query}")
    assert answer.status == 400 and reason in answer.json()["error"]


@pytest.mark.parametrize("query", ["", "limit=100", "offset=2147483647", "status=", "&&limit=1&",
                                   "status=processing,COMPLETED,cancelled"])
def test_a_good_query_is_accepted(program, query):
    assert program.ask(f"{LIST}?{query}").status == 200


def test_a_batch_request_ignores_its_query_string(program):
    assert program.ask(STATUS + "?other=1").status == 200
    assert program.ask(STATUS + "?a=1&a=2").status == 400


# ---- conditional requests -------------------------------------------------------------------

def test_an_unchanged_response_is_not_sent_again(program):
    for path in (STATUS, LIST, "/openapi.json"):
        tag = program.ask(path).header("ETag")
        assert re.fullmatch(r'"[0-9a-f]{16}"', tag)
        for wanted in (tag, f"W/{tag}", f'"x", {tag}', f'"x",W/{tag},"y"', "*"):
            answer = program.ask(path, headers=KEYS + f"If-None-Match: {wanted}\r\n".encode())
            assert answer.status == 304, wanted
            assert answer.body == b"" and answer.header("Content-Length") is None
            assert answer.header("ETag") == tag
            assert answer.header("Cache-Control") == "private, no-cache"
        for wanted in ('"x"', tag.strip('"'), tag[:-2] + '"', "", tag[:-1], f"w/{tag}"):
            answer = program.ask(path, headers=KEYS + f"If-None-Match: {wanted}\r\n".encode())
            assert answer.status == 200, wanted


def test_an_error_is_never_304(program):
    for path, headers, status in ((STATUS, b"", 401), ("/batches/x/status", KEYS, 404),
                                  (LIST + "?limit=0", KEYS, 400)):
        answer = program.ask(path, headers=headers + b"If-None-Match: *\r\n")
        assert answer.status == status and answer.header("ETag") is None
        assert answer.header("Cache-Control") == "no-store"


# ---- correlation ----------------------------------------------------------------------------

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def script_statements(world):
    """The last statements of the scripts' connections."""
    done = subprocess.run(
        ["psql", "-qtAX", world.database_url, "-c", "SELECT query FROM pg_stat_activity WHERE "
         "datname = current_database() AND application_name = 'aggregator scripts'"],
        capture_output=True, text=True, check=True)
    return done.stdout


def test_a_sampled_trace_is_in_the_log_and_the_statements(world):
    program = world.start(env={"LOG_LEVEL": "DEBUG", "CACHE_ENABLED": "false"}).wait_ready()
    wait_until("the batch", lambda: program.status_of(KNOWN))
    for flags, commented in (("00", False), ("01", True)):
        mine, traceparent = str(uuid.uuid4()), f"00-{TRACE_ID}-00f067aa0ba902b7-{flags}"
        headers = f"traceparent: {traceparent}\r\nX-Correlation-ID: {mine}\r\n".encode()
        assert program.ask(STATUS, headers=KEYS + headers).status == 200
        assert [line["trace_id"] for line in log_lines(program)
                if line.get("correlation_id") == mine] == [TRACE_ID]
        assert (f"/*traceparent='{traceparent}'*/" in script_statements(world)) == commented
    assert program.ask(STATUS).status == 200
    assert "trace_id" not in log_lines(program, "request answered")[-1]


def test_the_correlation_id_is_returned_and_logged(program):
    for path, headers in ((STATUS, KEYS), (STATUS, b""), ("/nowhere", b""), (LIST, KEYS)):
        wanted = f"trace \"{uuid.uuid4()}\""
        answer = program.ask(path, headers=headers + f"X-Correlation-ID: {wanted}\r\n".encode())
        assert answer.header("X-Correlation-ID") == wanted
        lines = [json.loads(line) for line in program.log.read_text().splitlines()
                 if line.startswith("{")]
        assert [line["message"] for line in lines if line.get("correlation_id") == wanted]


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a\tb", b"\xc3\xa5"])
def test_an_invalid_correlation_id_is_replaced(program, given):
    answer = program.ask("/healthz", headers=b"X-Correlation-ID: " + given + b"\r\n")
    assert answer.status == 200
    assert uuid.UUID(answer.header("X-Correlation-ID")).version == 4


# ---- connections ----------------------------------------------------------------------------

def test_a_connection_stays_open_after_errors(program):
    wanted = [("/nowhere", b"", "GET", 404), (STATUS, b"", "GET", 401), (STATUS, KEYS, "PUT", 405),
              (LIST + "?limit=0", KEYS, "GET", 400), ("/batches/x/status", KEYS, "GET", 404),
              (STATUS, KEYS, "HEAD", 200), (LIST, KEYS, "GET", 200), (STATUS, KEYS, "GET", 200)]
    with program.client() as client:
        for path, headers, method, status in wanted * 3:
            answer = client.request(path, method, headers).answer(method)
            assert (answer.status, answer.header("Connection")) == (status, None)


@pytest.mark.parametrize("version, connection, kept", [
    (b"1.1", b"", True), (b"1.1", b"close", False), (b"1.1", b"keep-alive, CLOSE", False),
    (b"1.0", b"", False), (b"1.0", b"keep-alive", True), (b"1.7", b"", True)])
def test_a_connection_is_kept_as_asked(program, version, connection, kept):
    """A client of HTTP/1.0 needs the header: without it, it waits for the close."""
    headers = b"Connection: " + connection + b"\r\n" if connection else b""
    with program.client() as client:
        answer = client.request("/healthz", headers=headers, version=version).answer()
        assert answer.status == 200
        said = "keep-alive" if version == b"1.0" else None
        assert answer.header("Connection") == (said if kept else "close")
        if kept:
            assert client.request("/healthz").answer().status == 200
        else:
            assert client.closed()


def test_pipelined_requests_are_answered_in_order(program):
    paths = [STATUS, LIST, "/healthz", "/nowhere"] * 60  # some wait for the database, some do not
    requests = b"".join(b"GET %s HTTP/1.1\r\nHost: h\r\n%sX-Correlation-ID: %d\r\n\r\n" % (
        path.encode(), KEYS, number) for number, path in enumerate(paths))
    with program.client() as client:
        client.send(requests)
        for number, path in enumerate(paths):
            answer = client.answer()
            assert answer.header("X-Correlation-ID") == str(number)
            assert answer.status == (404 if path == "/nowhere" else 200)


def test_a_half_closed_client_gets_its_response(program):
    for path in ("/healthz", LIST):
        with program.client() as client:
            client.request(path, headers=KEYS)
            client.end()
            assert client.answer().status == 200
            assert client.closed()


def test_an_idle_connection_is_closed_in_time(world):
    program = world.start(edits=[("keep_alive_timeout_ms = 5000", "keep_alive_timeout_ms = 300")])
    with program.client() as client:
        assert client.request("/healthz").answer().status == 200
        began = time.monotonic()
        assert client.closed()
        assert time.monotonic() - began > 0.2
    assert program.stop() == 0


def test_a_stop_answers_requests_under_way_and_closes_others_after_the_drain_timeout(world):
    sql = world.sql_with("batch_status.sql", "batch_answer(:batch_id::text)",
                         f"batch_answer(:batch_id::text), {WAIT_FOR_TEST}")
    program = world.start(env={"SQL_ROOT": str(sql), "CACHE_ENABLED": "false"},
                          edits=[("loops = 2,", "loops = 2, drain_timeout_ms = 300,"),
                                 ("route_timeout_ms = 2000", "route_timeout_ms = 40000")])
    with program.client() as idle, program.client() as fresh, program.client() as half, \
            program.client() as busy:
        assert idle.request("/healthz").answer().status == 200
        half.send(b"GET /healthz HTT")
        with readers_held(world.database_url):
            busy.request(STATUS, headers=KEYS)
            wait_for_held_readers(world.database_url)
            program.send(signal.SIGTERM)
            assert idle.closed() and fresh.closed() and half.closed()
            wait_until("the end of listening", lambda: not stack.accepts(program.port))
        answer = busy.answer()
        assert answer.status == 200 and answer.header("Connection") == "close"
        assert busy.closed()
    assert program.process.wait(timeout=120) == 0


def test_a_port_in_use_is_named(world, program):
    second = world.prepare(env={"PORT": str(program.port)})
    ended = second.command("run", "--config", second.config, check=False, timeout=120)
    assert ended.returncode == 1
    assert f"port {program.port}" in ended.stderr and "in use" in ended.stderr


# ---- description ----------------------------------------------------------------------------

def test_the_description_is_served(program):
    answer = program.ask("/openapi.json", headers=b"")
    assert answer.status == 200 and answer.header("Content-Type") == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    for path in EVERY_PATH:
        template = path.replace(KNOWN, "{batch_id}").replace("teacher", "{user_id}")
        assert template in document["paths"]

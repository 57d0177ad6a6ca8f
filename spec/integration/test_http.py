"""The HTTP interface of the running program."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import uuid

import http_client
import psycopg2
import pytest
import stack
from harness import log_lines
from http_client import KEYS
from stack import wait_until

KNOWN = "15dea567-4e5f-4139-ac56-1758f0bab263"
STATUS = f"/internal/v1/batches/{KNOWN}/status"
LIST = "/internal/v1/batches/user/teacher"
EVERY_PATH = [STATUS, f"/batches/{KNOWN}/status", LIST, "/healthz", "/readyz", "/metrics",
              "/openapi.json"]


def keys(key="test-key", service="api-gateway-service"):
    return b"X-Internal-API-Key: %s\r\nX-Service-ID: %s\r\n" % (key.encode(), service.encode())


@pytest.fixture(scope="module")
def world():
    with http_client.servers() as made:
        made.feed([http_client.registration(KNOWN)])
        yield made


@pytest.fixture(scope="module")
def program(world):
    started = world.start(env={"LOG_LEVEL": "DEBUG"}).wait_ready()
    wait_until("the batch", lambda: started.status_of(KNOWN))
    return started


# ---- health ---------------------------------------------------------------------------------

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
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True,
                              check=True).stdout.split()
    for pid in [parent, *map(int, children)]:
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


# ---- authentication -------------------------------------------------------------------------

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
                         "batch_answer(:batch_id::text), pg_sleep(1.5)")
    program = world.start(env={"SQL_ROOT": str(sql), "CACHE_ENABLED": "false"},
                          edits=[("loops = 2,", "loops = 2, drain_timeout_ms = 300,")])
    with program.client() as idle, program.client() as fresh, program.client() as half, \
            program.client() as busy:
        assert idle.request("/healthz").answer().status == 200
        half.send(b"GET /healthz HTT")
        busy.request(STATUS, headers=KEYS)
        wait_until("the request", lambda: "pg_sleep" in http_query(world.database_url))
        program.send(signal.SIGTERM)
        assert idle.closed() and fresh.closed() and half.closed()
        wait_until("the end of listening", lambda: not stack.accepts(program.port), 1)
        answer = busy.answer()
        assert answer.status == 200 and answer.header("Connection") == "close"
        assert busy.closed()
    assert program.process.wait(timeout=20) == 0


def http_query(url):
    """The statements that the database runs at the moment."""
    with contextlib.closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE state = 'active' "
                       "AND pid <> pg_backend_pid()")
        return str(cursor.fetchall())


def test_a_port_in_use_is_named(world, program):
    second = world.prepare(env={"PORT": str(program.port)})
    ended = second.command("run", "--config", second.config, check=False, timeout=30)
    assert ended.returncode == 1
    assert f"port {program.port}" in ended.stderr and "in use" in ended.stderr


# ---- metrics and description ----------------------------------------------------------------

DEFAULT_BUCKETS = {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
SAMPLE = re.compile(r'([a-z_:]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (\S+)')


def read_exposition(text):
    """{family: (type, [(sample name, labels, value)])}; every rule of the text format is checked."""
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in families and len(line.split(" ", 3)[3]) > 0
            families[current] = [None, []]
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == current and families[current][0] is None
            families[current][0] = line.split(" ")[3]
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert re.fullmatch(re.escape(current) + "(_bucket|_sum|_count)?", name)
            families[current][1].append((name, labels or "", float(value)))
    return families


def test_metrics_are_prometheus_text(program):
    answer = program.ask("/metrics")
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    families = read_exposition(answer.body.decode())
    for kind, samples in families.values():
        assert kind in ("counter", "gauge", "histogram")
        if kind == "histogram":
            check_histogram(samples)


def check_histogram(samples):
    series = {}
    for name, labels, value in samples:
        plain = re.sub(r',?\ble="[^"]*"', "", labels).replace("{}", "")
        series.setdefault(plain, []).append((name, labels, value))
    for cells in series.values():
        buckets = [(float(re.search(r'\ble="([^"]*)"', labels)[1]), value)
                   for name, labels, value in cells if name.endswith("_bucket")]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [value for _, value in buckets] == sorted(value for _, value in buckets)
        assert DEFAULT_BUCKETS <= {bound for bound, _ in buckets}
        assert [value for name, _, value in cells if name.endswith("_count")] == [buckets[-1][1]]


@pytest.mark.parametrize("name, labels", [
    ("ras_api_requests_total", "endpoint method status_code"),
    ("ras_api_errors_total", "endpoint error_type"),
    ("ras_api_request_duration_seconds", "endpoint method"),
    ("ras_messages_processed_total", ""), ("ras_consumer_errors_total", ""),
    ("ras_cache_hits_total", "cache_type"), ("ras_cache_misses_total", "cache_type"),
    ("ras_invalid_messages_total", "topic error_type"),
    ("ras_db_operations_total", "operation status"),
    ("ras_db_operation_duration_seconds", "operation"),
    ("ras_message_processing_duration_seconds", ""),
    ("process_resident_memory_bytes", ""), ("process_cpu_seconds_total", ""),
    ("process_open_fds", ""), ("process_max_fds", ""), ("process_start_time_seconds", ""),
    ("ras_build_info", "version"), ("ras_http_connections", ""),
    *((f"result_aggregator_service_database_{name}", labels) for name, labels in (
        ("query_duration_seconds", "operation table result"),
        ("transaction_duration_seconds", "operation result"),
        ("transactions_total", "operation result"), ("connections_active", ""),
        ("connections_idle", ""), ("connections_total", ""))),
    ("outbox_queue_depth", "service"), ("outbox_events_added_total", "service event_type"),
    ("outbox_events_published_total", "service event_type"),
    ("outbox_events_failed_total", "service event_type"),
    ("outbox_relay_errors_total", "service error_type"),
    ("outbox_event_age_seconds", "service")])
def test_the_platforms_metrics_are_present(program, world, name, labels):
    program.ask(STATUS, headers=b"")
    if name == "ras_invalid_messages_total":
        bad = http_client.registration("bad")
        del bad["value"]["data"]["user_id"]
        world.feed([bad])
        wait_until("the rejection", lambda: program.metric(name) > 0)
    samples = read_exposition(program.ask("/metrics").body.decode())[name][1]
    assert samples
    for _, text, _ in samples:
        assert sorted(set(re.findall(r'([a-z_]+)="', text)) - {"le"}) == sorted(labels.split())


@pytest.mark.parametrize("path, headers, method, cell", [
    (STATUS, KEYS, "GET", 'endpoint="get_batch_status",method="GET",status_code="200"'),
    (STATUS, KEYS, "HEAD", 'endpoint="get_batch_status",method="HEAD",status_code="200"'),
    (STATUS, KEYS + b"If-None-Match: *\r\n", "GET",
     'endpoint="get_batch_status",method="GET",status_code="304"'),
    (STATUS, b"", "GET", 'endpoint="get_batch_status",method="GET",status_code="401"'),
    ("/batches/x/status", KEYS, "GET",
     'endpoint="get_batch_status",method="GET",status_code="404"'),
    ("/batches/%00/status", KEYS, "GET",
     'endpoint="get_batch_status",method="GET",status_code="400"'),
    (LIST + "?limit=0", KEYS, "GET", 'endpoint="get_user_batches",method="GET",status_code="400"'),
    (LIST, KEYS, "GET", 'endpoint="get_user_batches",method="GET",status_code="200"'),
    (STATUS, KEYS, "PUT", 'endpoint="unknown",method="PUT",status_code="405"'),
    ("/no", b"", "GET", 'endpoint="unknown",method="GET",status_code="404"'),
    ("/no", b"Content-Length: x\r\n", "GET", 'endpoint="unknown",method="GET",status_code="400"'),
    ("/healthz", b"", "POST", 'endpoint="healthz",method="POST",status_code="405"'),
    ("*", b"", "OPTIONS", 'endpoint="server",method="other",status_code="204"')])
def test_every_response_is_counted(program, path, headers, method, cell):
    name = "ras_api_requests_total{" + cell + "}"
    before = program.samples().get(name, 0)
    program.ask(path, method, headers)
    assert program.samples()[name] == before + 1


def test_hits_and_misses_are_counted(program):
    def counts():
        samples = program.samples()
        return [samples.get(f'ras_cache_{what}_total{{cache_type="batch_status"}}', 0)
                for what in ("hits", "misses")]

    program.ask(STATUS)
    hits, misses = counts()
    for _ in range(5):
        program.ask(STATUS)
    assert counts() == [hits + 5, misses]
    program.ask(f"/batches/{uuid.uuid4()}/status")
    assert counts() == [hits + 5, misses + 1]


def test_labels_are_bounded_for_any_request(program):
    def ask(number):
        program.ask(f"/one/{number}", f"M{number}")
        program.ask(f"/batches/{uuid.uuid4()}/status")

    def samples():  # not those of partitions, which come when they are assigned
        return {name for name in program.samples() if "partition=" not in name}

    ask(0)
    samples()  # is a request, too
    before = samples()
    for number in range(1, 40):
        ask(number)
    assert samples() - before == set()


def test_the_description_is_served(program):
    answer = program.ask("/openapi.json", headers=b"")
    assert answer.status == 200 and answer.header("Content-Type") == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    for path in EVERY_PATH:
        template = path.replace(KNOWN, "{batch_id}").replace("teacher", "{user_id}")
        assert template in document["paths"]

"""Malicious and broken clients: each gets a 4xx or is disconnected, and other clients are
served."""
import concurrent.futures
import contextlib
import random
import resource
import socket
import subprocess
import threading
import time

import http_client
import pytest
from harness import WAIT_FOR_TEST, readers_held
from http_client import KEYS, KNOWN, LIST, STATUS, Client
from stack import wait_until

SHORT = ("request_timeout_ms = 10000", "request_timeout_ms = 1000")
# A program under AddressSanitizer leaves memory unreturned.
ASAN = b"__asan_init" in (http_client.BUILD / "aggregator").read_bytes()
PROMPT_S = 15  # of a busy machine
CROWD = 200
THREADS = 16  # http.threads
GET = b"GET /healthz HTTP/1.1\r\nHost: h\r\n"


@pytest.fixture(scope="module")
def descriptors():
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def world(descriptors, world):
    return world


@pytest.fixture(scope="module")
def program(world):
    """Checks that descriptors and memory have not grown after all tests of this file."""
    started = world.start(edits=[SHORT]).wait_batch()
    warm_up(started)
    files, memory = settled_files(started), started.resident_bytes()
    yield started
    wait_until("the descriptors", lambda: settled_files(started) <= files + 8)  # Redis' pool
    if not ASAN:
        assert started.resident_bytes() < memory + 48 * 1024 * 1024
    assert started.stop() == 0
    log = started.log.read_text()
    assert "Sanitizer" not in log and "runtime error" not in log


def warm_up(program):
    for _ in range(200):
        program.ask(LIST)
    program.ask("/metrics")


def settled_files(program):
    wait_until("the connections' end",
               lambda: program.samples()["ras_http_connections"] <= 1)
    return program.open_files()


def served(program, seconds=PROMPT_S):
    """Other clients are served in time: from the cache, from the database, and /healthz."""
    for path in (STATUS, LIST, "/healthz"):
        began = time.monotonic()
        answer = program.ask(path)
        assert answer and answer.status == 200, path
        assert time.monotonic() - began < seconds, path


# ---- what one connection may send -----------------------------------------------------------

REQUESTS = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),  # a TLS greeting
    (b"GET\r\n\r\n", 400), (b"GET /\r\n\r\n", 400), (b"GET / \r\n\r\n", 400),
    (b"GET / HTTP/1.1\n\n", 400), (b"GET / HTTP/1.1\r\nHost: h\n\r\n", 400),
    (b"\0\0\0\0\r\n\r\n", 400), (b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /\xc3\xa5 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET  /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /healthz  HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400), (GET + b"Host: i\r\n\r\n", 400),
    (b"GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400), (b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET http:///healthz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: h/i\r\n\r\n", 400), (b"TRACE /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    (b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200),
    (b"GET file:///etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    (b"GET //healthz HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    (b"GET \\healthz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /healthz#x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"X" * 5000 + b" / HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414), (b"GET /" + b"a" * 20000, 414),
    (GET + b"A: " + b"a" * 20000, 431), (GET + b"A: b\r\n" * 3000, 431),
    (GET + b"A: b\r\n" * 100 + b"\r\n", 431),
    (GET + b"no colon\r\n\r\n", 400), (GET + b" folded: x\r\n\r\n", 400),
    (GET + b"A: b\r\n folded\r\n\r\n", 400), (GET + b"A : b\r\n\r\n", 400), (GET + b": b\r\n\r\n", 400),
    (GET + b"A: b\x00c\r\n\r\n", 400), (GET + b"A: b\rSet-Cookie: c\r\n\r\n", 400),
    (GET + b"A: \x1b[31m\r\n\r\n", 400), (GET + b"A: \xff\xfe\r\n\r\n", 200),
    (GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    (GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
    (GET + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", 501),
    (GET + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    (GET.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (GET + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
    (GET + b"Content-Length: 4\r\nTransfer-Encoding: identity\r\n\r\nbody", 501),
    (GET + b"Content-Length: 18446744073709551616\r\n\r\n", 413),
    (GET + b"Content-Length: 18446744073709551617\r\n\r\n", 413),
    (GET + b"Content-Length: 4, 4\r\n\r\nbody", 400), (GET + b"Content-Length: \r\n\r\n", 400),
    (GET + b"Content-Length: 4 \r\n\r\nbody", 413), (GET + b"Content-Length: 0x4\r\n\r\nbody", 400),
    (GET + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    (GET + b"Content-Length: 4\r\n\r\nbody", 413), (GET + b"Content-Length: 0\r\n\r\n", 200),
    (GET + b"Content-Length: 99999999999999999999999\r\n\r\n", 413),
    (GET + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody", 400),
    (GET + b"Content-Length: -1\r\n\r\n", 400), (GET + b"Content-Length: 1e3\r\n\r\n", 400),
    (GET + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", 413),
    (GET + b"Expect: 200-ok\r\n\r\n", 417),
    (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 200),
    (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 200),
    (GET + b"Range: bytes=0-99999999999\r\n\r\n", 200),
    (GET + b"X-Forwarded-For: ' OR 1=1\r\nReferer: \"><script>\r\n\r\n", 200)]


@pytest.mark.parametrize("data, status", REQUESTS)
def test_one_request_is_answered_or_refused(program, data, status):
    with program.client() as client:
        client.send(data)
        answer = client.answer()
        assert answer.status == status
        assert answer.header("Content-Type") == "application/json"
        if status >= 400:
            assert list(answer.json()) == ["error"]
        if status not in (200, 404, 405):
            assert answer.header("Connection") == "close" and client.closed()
    served(program)


def test_bytes_after_a_refused_request_are_not_read(program):
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
    for head in (b"Content-Length: %d\r\n\r\n" % len(smuggled), b"Transfer-Encoding: chunked\r\n\r\n",
                 b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n", b"A : b\r\n\r\n"):
        with program.client() as client:
            client.send(GET + head + smuggled)
            assert client.answer().status >= 400
            assert client.closed()


def test_no_input_can_write_a_header(program):
    evil = b"%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0aHTTP/1.1%20200%20OK"
    requests = [b"GET /batches/" + evil + b"/status HTTP/1.1\r\nHost: h\r\n" + KEYS + b"\r\n",
                b"GET " + LIST.encode() + b"?limit=" + evil + b" HTTP/1.1\r\nHost: h\r\n" + KEYS + b"\r\n",
                b"GET " + LIST.encode() + b"?status=a%0d%0ab HTTP/1.1\r\nHost: h\r\n" + KEYS + b"\r\n",
                GET + b"X-Correlation-ID: " + evil + b"\r\n\r\n",
                GET + b"X-Correlation-ID: a\rSet-Cookie: b\r\n\r\n",
                GET + b"X-Correlation-ID: a\r\nSet-Cookie: b\r\n\r\n"]
    allowed = {"Content-Type", "Content-Length", "Cache-Control", "ETag", "X-Content-Type-Options",
               "X-Correlation-ID", "Date", "Connection"}
    for request in requests:
        with program.client() as client:
            answer = client.send(request).answer()
            assert {name for name, _ in answer.headers} <= allowed
            client.request("/healthz")
            assert client.answer() is None or answer.header("Connection") is None


@pytest.mark.parametrize("text", [
    "'", "';DROP TABLE batch_results;--", "\" OR \"\"=\"", "$1", "%s%n", "{}", "[1]", "\\", "\\u0000",
    "null", "../../../etc/passwd", "a|b", "a,b", "\u2028", "\U0001F600", "*", "?", "api:batch:x"])
def test_metacharacters_are_plain_text(program, text):
    name = "".join(f"%{byte:02x}" for byte in text.encode())
    assert program.ask(f"/batches/{name}/status").status == 404
    answer = program.ask(f"/internal/v1/batches/user/{name}")
    assert answer.status == 200 and answer.json()["batches"] == []
    for parameter in ("limit", "offset", "cursor", "status"):
        answer = program.ask(f"{LIST}?{parameter}={name}")
        assert answer.status == 400 and parameter in answer.json()["error"]
    assert program.ask(STATUS).status == 200


# ---- slow clients ---------------------------------------------------------------------------

def trickle(client, byte, seconds):
    """Sends a byte every 50 ms until the server closes; returns the seconds."""
    began = time.monotonic()
    client.socket.settimeout(0.05)
    while time.monotonic() - began < seconds:
        try:
            client.send(byte)
            if not client.receive() or client.pending:
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    client.socket.settimeout(120)
    return time.monotonic() - began


@pytest.mark.parametrize("begin, byte", [
    (b"", b"G"), (GET + b"A: ", b"a"), (GET, b"A: b\r\n"), (b"GET /", b"a")])
def test_a_request_that_trickles_in_is_ended_in_time(program, begin, byte):
    with program.client() as client:
        client.send(begin)
        assert 0.8 < trickle(client, byte, 20) < 10
        answer = client.answer()
        assert answer is None or (answer.status == 408 and "in time" in answer.json()["error"])


def test_endless_empty_lines_are_ended_in_time(program):
    with program.client() as client:
        assert trickle(client, b"\r\n", 20) < 10


def test_a_body_that_trickles_in_is_not_waited_for(program):
    with program.client() as client:
        client.send(GET + b"Content-Length: 1000000\r\n\r\n")
        assert client.answer().status == 413
        assert trickle(client, b"x", 20) < 10


def test_half_a_request_times_out(program):
    for data in (b"", b"G", GET[:-1], GET):
        with program.client() as client:
            client.send(data)
            client.end()
            assert client.closed()
    with program.client() as client:
        assert client.send(b"GET /").answer().status == 408


def test_a_client_that_does_not_read_is_disconnected(program):
    with contextlib.ExitStack() as clients:
        for _ in range(50):
            client = clients.enter_context(program.client())
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(100):
                    client.socket.send(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
        served(program)
        wait_until("their end", lambda: program.samples()["ras_http_connections"] <= 2, 20)


def reset(client):
    """Closes the connection with a reset."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.socket.close()


def test_a_reset_connection_is_released(program):
    for _ in range(200):
        client = Client(program.port)
        client.request(random.choice([LIST, STATUS, "/metrics"]), headers=KEYS)
        reset(client)
    served(program)


def test_a_request_whose_client_left_is_not_processed(world):
    sql = world.sql_with("user_batches.sql", ":offset::bigint)", f":offset::bigint), {WAIT_FOR_TEST}")
    program = world.start(edits=[("threads = 16", "threads = 1"), ("loops = 2", "loops = 1"),
                                 ("route_timeout_ms = 2000", "route_timeout_ms = 40000")],
                          env={"SQL_ROOT": str(sql), "CACHE_ENABLED": "false"}).wait_ready()
    with program.client() as first:
        with readers_held(world.database_url):
            first.request(LIST, headers=KEYS)
            departed = [program.client().request(LIST, headers=KEYS) for _ in range(50)]
            # The one loop takes connections in turn: once this is answered it has all their requests.
            assert program.ask("/healthz").status == 200
            for client in departed:
                reset(client)
        assert first.answer().status == 200
        served(program)
    assert program.samples()["ras_http_requests_abandoned_total"] == 50
    assert program.stop() == 0


# ---- many clients ---------------------------------------------------------------------------

@pytest.mark.parametrize("begin", [b"", b"GET /", GET, GET + b"Content-Length: 9\r\n"])
def test_two_thousand_open_connections_delay_no_request(program, begin):
    with contextlib.ExitStack() as clients:
        held = [clients.enter_context(program.client()) for _ in range(2000)]
        for client in held:
            client.send(begin)

        def have_ended():
            served(program)
            return program.samples()["ras_http_connections"] <= 1  # this one

        wait_until("the end of all", have_ended)
    served(program)


def test_idle_connections_make_room_for_new_ones(world):
    program = world.start(edits=[("max_connections = 4096", "max_connections = 100")]).wait_ready()
    with contextlib.ExitStack() as clients:
        good = clients.enter_context(program.client())
        assert good.request("/healthz").answer().status == 200
        for _ in range(400):
            clients.enter_context(program.client()).send(b"GET /")
        for _ in range(20):
            served(program)
        # Who has proven good goes last.
        assert good.request("/healthz").answer().status == 200
        samples = program.samples()
        assert samples["ras_http_connections"] <= 100
        assert samples["ras_http_connections_evicted_total"] >= 300
    assert program.stop() == 0


@pytest.mark.skipif("http_client.TLS", reason="it is closed before its handshake")
def test_a_connection_beyond_the_limit_gets_503_with_retry_after(world):
    sql = world.sql_with("batch_status.sql", "batch_answer(:batch_id::text)",
                         f"batch_answer(:batch_id::text), {WAIT_FOR_TEST}")
    program = world.start(edits=[("max_connections = 4096", "max_connections = 8"),
                                 ("loops = 2", "loops = 1"),
                                 ("route_timeout_ms = 2000", "route_timeout_ms = 40000")],
                          env={"SQL_ROOT": str(sql), "CACHE_ENABLED": "false"}).wait_ready()
    wait_until("the batch", lambda: program.status_of(KNOWN))
    with contextlib.ExitStack() as clients:
        refused = []

        def is_refused():
            client = clients.enter_context(program.client())
            with contextlib.suppress(ConnectionError):
                answer = client.answer()
                return answer and refused.append(answer) is None

        with readers_held(world.database_url):
            busy = [clients.enter_context(program.client()).request(STATUS, headers=KEYS)
                    for _ in range(8)]
            wait_until("a refusal", is_refused)
        assert refused[0].status == 503 and refused[0].header("Retry-After") == "1"
        assert refused[0].json() == {"error": "Too many connections"}
        assert [client.answer().status for client in busy] == [200] * 8
    served(program, 5 * PROMPT_S)
    assert program.stop() == 0


def test_many_requests_of_one_endpoint_do_not_delay_others(world):
    sql = world.sql_with("user_batches.sql", ":offset::bigint)", ":offset::bigint), pg_sleep(0.2)")
    # Without Redis a hit is one of the process' own cache.
    program = world.start(env={"SQL_ROOT": str(sql), "REDIS_URL": "none"}).wait_ready()
    wait_until("the event", lambda: program.metric("ras_messages_processed_total") > 0)
    wait_until("the batch in the cache", lambda: program.status_of(KNOWN) and
               program.metric("ras_cache_hits_total") > 0)
    over, statuses = threading.Event(), []

    def crowd(page):
        while not over.is_set():  # each page is cached by itself
            statuses.append(program.ask(f"{LIST}?offset={page}").status)
            page += CROWD

    with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
        for page in range(CROWD):
            pool.submit(crowd, page)
        wait_until("the crowd", lambda: len(statuses) > 8)
        for number in range(10):
            for path, status in ((STATUS, 200), ("/healthz", 200), ("/metrics", 200),
                                 (f"/batches/unknown{number}/status", 404)):
                before = len(statuses)
                assert program.ask(path).status == status
                assert len(statuses) - before < CROWD - 10, "it stood behind the crowd"
        over.set()
    assert set(statuses) == {200}
    assert program.stop() == 0


def test_routes_whose_queries_hang_leave_threads_to_the_metrics(world):
    sql = world.sql_with("user_batches.sql", ":offset::bigint)",
                         f":offset::bigint), {WAIT_FOR_TEST}")
    status = sql / "queries/batch_status.sql"
    text = status.read_text()
    assert " WHERE " in text
    status.write_text(text.replace(  # also for a batch that is not there
        " WHERE ", f" WHERE (SELECT true FROM {WAIT_FOR_TEST}) AND "))
    program = world.start(env={"SQL_ROOT": str(sql)},
                          edits=[("request_timeout_ms = 10000", "request_timeout_ms = 60000"),
                                 ("route_timeout_ms = 2000", "route_timeout_ms = 40000")]).wait_ready()
    paths = [f"{LIST}?offset={page}" for page in range(THREADS)]
    paths += [f"/internal/v1/batches/{page}/status" for page in range(THREADS)]
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        with readers_held(world.database_url):
            waiting = [pool.submit(program.ask, path) for path in paths]
            wait_until("the requests", lambda: program.samples()["ras_http_connections"] > len(paths))
            assert program.ask("/metrics").status == 200
            assert not any(one.done() for one in waiting)
        assert {one.result().status for one in waiting} == {200, 404}
    assert program.stop() == 0


# ---- anything at all ------------------------------------------------------------------------

def mutated(randomness, data):
    data = bytearray(data)
    for _ in range(randomness.randrange(1, 6)):
        at = randomness.randrange(len(data) + 1)
        kind = randomness.randrange(4)
        if kind == 0:
            data[at:at] = bytes(randomness.randrange(256) for _ in range(randomness.randrange(9)))
        elif kind == 1:
            del data[at:at + randomness.randrange(9)]
        elif kind == 2:
            data[at:at] = data[:randomness.randrange(len(data) + 1)]
        else:
            data[at:at] = randomness.choice([b"\r\n", b"\n", b"\r", b"%", b"\0", b":", b" ", b"/", b"?"])
    return bytes(data)


def test_mutated_requests_are_refused_or_answered(program):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    randomness = random.Random(seed)
    bases = [b"GET %s HTTP/1.1\r\nHost: h\r\n%sIf-None-Match: W/\"x\", *\r\n\r\n" % (
        path.encode(), KEYS) for path in (STATUS, LIST + "?limit=1&cursor=a", "/metrics")]
    for _ in range(300):
        with program.client() as client:
            with contextlib.suppress(ConnectionError):
                client.send(mutated(randomness, randomness.choice(bases)))
                client.end()
            while answer := client.answer():
                assert answer.status < 500 or answer.status == 505
                if answer.status >= 400:
                    assert list(answer.json()) == ["error"]
    served(program)


def test_the_tables_are_unchanged(program, world):
    tables = subprocess.run(
        ["psql", "-qtAX", world.database_url, "-c", "SELECT count(*) FROM batch_results"],
        check=True, capture_output=True, text=True).stdout
    assert int(tables) == 1
    assert "test-key" not in program.log.read_text()

"""Live routes: a stream of events tells of each change of an answer, in this process and others.

Most tests share two processes on one database, each with a batch of its own; a test that ends or
reconfigures the program has one of its own."""
import contextlib
import json
import socket
import threading
import uuid

import certificates
import live_page
import pytest
from browser import Browser
from harness import API_KEYS, edited_config, slot_event
from http_client import KEYS
from installed import Installed
from live_stream import live_path
from stack import HEADERS, wait_until
from test_cache import REGISTER, processed
from views import status_path

LONG_DRAIN = {"AGGREGATOR_HTTP_DRAIN_TIMEOUT_MS": "600000"}  # no wait of a test is as long
HEARTBEAT_MS, REQUEST_TIMEOUT_MS, MOST_READERS = 100, 1000, 3
pytestmark = pytest.mark.xdist_group("live")


class Batch:
    """A batch of one essay, registered without an event: the caches are not invalidated."""

    def __init__(self, service):
        self.service, self.second = service, 0
        self.id, self.essay = str(uuid.uuid4()), str(uuid.uuid4())
        self.path = live_path(self.id)
        service.query(REGISTER, self.id, [self.essay])

    def rename(self, filename):
        """Publishes a new file name and waits until a program has committed it."""
        self.second += 1
        before = processed(self.service)
        self.service.publish([slot_event(self.id, self.essay, filename, self.second)])
        wait_until("the event", lambda: processed(self.service) > before)


@pytest.fixture(scope="module")
def shared(make_service):
    """A service of two programs."""
    with contextlib.ExitStack() as cleanup:
        service = make_service(cleanup)
        for _ in range(2):
            service.start(AGGREGATOR_HTTP_LIVE_HEARTBEAT_MS=str(HEARTBEAT_MS),
                          AGGREGATOR_HTTP_REQUEST_TIMEOUT_MS=str(REQUEST_TIMEOUT_MS),
                          AGGREGATOR_HTTP_MAX_LIVE_READERS=str(MOST_READERS))
        for program in service.programs:
            service.wait_ready(program)
        yield service


@pytest.fixture
def program(shared):
    """The first one, which nobody reads."""
    wait_until("no readers", lambda: readers(shared.program) == 0)
    return shared.program


@pytest.fixture
def batch(shared, program):
    made = Batch(shared)
    made.rename("first.txt")
    return made


def names(event):
    return [essay["filename"] for essay in event["data"]["answer"]["essays"]]


def readers(program):
    return program.metric("ras_http_live_readers")


def slow_readers(program):
    return program.metric("ras_http_live_slow_total")


def test_a_stream_begins_with_the_answer_and_tells_of_each_change(shared, program, batch, open_stream):
    stream = open_stream(program, batch.path + "?answer=true")
    first = stream.wait_events(1)[0]
    assert "HTTP/1.1 200 OK" in stream.head and "Content-Type: text/event-stream" in stream.head
    assert "Content-Length" not in stream.head and "Cache-Control: no-store" in stream.head
    assert names(first) == ["first.txt"] and first["data"]["status"] == 200
    answer = program.get(status_path(batch.id))
    assert first["data"]["answer"] == json.loads(answer[1])
    assert first["data"]["etag"] == answer[2]["ETag"] == f'"{first["id"]}"'
    batch.rename("second.txt")
    second = stream.wait_events(2)[1]
    assert names(second) == ["second.txt"] and second["id"] != first["id"]
    Batch(shared).rename("other.txt")
    batch.rename("third.txt")
    assert names(stream.wait_events(3)[2]) == ["third.txt"]
    assert len(stream.events) == 3 and not stream.ended


def test_without_the_answer_an_event_has_status_and_etag(program, batch, open_stream):
    stream = open_stream(program, batch.path)
    assert set(stream.wait_events(1)[0]["data"]) == {"status", "etag"}


def test_a_reader_that_has_the_answer_gets_no_event_until_it_changes(program, batch, open_stream):
    known = open_stream(program, batch.path).wait_events(1)[0]["id"]
    again = open_stream(program, batch.path + "?answer=true",
                        headers=f"Last-Event-ID: {known}\r\n".encode())
    wait_until("both streams", lambda: readers(program) == 2)
    batch.rename("second.txt")
    assert [names(event) for event in again.wait_events(1)] == [["second.txt"]]


def test_a_stream_of_an_unknown_batch_tells_of_its_registration(shared, program, open_stream):
    batch_id = str(uuid.uuid4())
    stream = open_stream(program, live_path(batch_id) + "?answer=true")
    assert stream.wait_events(1)[0]["data"]["status"] == 404
    before = processed(shared)
    shared.publish([{"topic": "huleedu.batch.essays.registered.v1", "key": batch_id, "value": {
        "event_id": str(uuid.uuid4()),
        "event_type": "huleedu.batch.essays.registered.v1",
        "event_timestamp": "2025-06-28T08:00:00.000000Z", "source_service": "x",
        "correlation_id": str(uuid.uuid4()),
        "data": {"entity_id": batch_id, "entity_type": "batch", "parent_id": None,
                 "course_code": "ENG5", "student_prompt_ref": None, "expected_essay_count": 1,
                 "essay_ids": ["an-essay"], "user_id": "teacher",
                 "metadata": {"entity_id": batch_id, "entity_type": "batch", "parent_id": None,
                              "timestamp": "2025-06-28T08:00:00.000000Z",
                              "processing_stage": "pending", "event": "batch.registered",
                              "started_at": "2025-06-28T08:00:00.000000Z", "completed_at": None,
                              "error_info": {}}}}}])
    assert stream.wait_events(2)[1]["data"]["status"] == 200
    wait_until("its count", lambda: processed(shared) > before)


def test_changes_of_other_processes_arrive(shared, batch, open_stream):
    streams = [open_stream(each, batch.path + "?answer=true") for each in shared.programs]
    for stream in streams:
        stream.wait_events(1)
    batch.rename("second.txt")
    for stream in streams:
        assert names(stream.wait_events(2)[1]) == ["second.txt"]


@pytest.mark.parametrize("redis", ["own", "none"])
def test_without_redis_or_a_cache_changes_arrive(make_service, cleanup, open_stream, redis):
    service = make_service(cleanup, redis=redis)
    service.start(CACHE_ENABLED="false")
    service.wait_ready()
    batch = Batch(service)
    stream = open_stream(service.program, batch.path + "?answer=true")
    stream.wait_events(1)
    batch.rename("second.txt")
    assert names(stream.wait_events(2)[1]) == ["second.txt"]


def test_each_reader_gets_its_own_words(program, batch, open_stream):
    plain = open_stream(program, batch.path + "?answer=true")
    keys = KEYS.replace(HEADERS["X-Service-ID"].encode(), b"bff-teacher-service")
    translated = open_stream(program, batch.path + "?answer=true", keys=keys)
    words = [stream.wait_events(1)[0]["data"]["answer"]["overall_status"]
             for stream in (plain, translated)]
    answers = [json.loads(program.get(status_path(batch.id), HEADERS | {"X-Service-ID": name})[1])
               for name in (HEADERS["X-Service-ID"], "bff-teacher-service")]
    assert words == [answer["overall_status"] for answer in answers]


@pytest.mark.parametrize("path, status", [("?limit=5", 400), ("?answer=yes", 400), ("/more", 404)])
def test_a_wrong_request_gets_no_stream(program, open_stream, path, status):
    stream = open_stream(program, live_path() + path, headers=b"Connection: close\r\n")
    stream.wait_end()
    assert f"HTTP/1.1 {status} " in stream.head and readers(program) == 0


def test_a_stream_needs_the_routes_credentials(program, open_stream):
    stream = open_stream(program, keys=b"", headers=b"Connection: close\r\n")
    stream.wait_end()
    assert "HTTP/1.1 401 " in stream.head


def test_head_and_other_methods_open_no_stream(program, open_stream):
    head = open_stream(program, method=b"HEAD")
    head.wait_end()
    assert "HTTP/1.1 200 OK" in head.head and head.bytes.endswith(b"\r\n\r\n")
    post = open_stream(program, method=b"POST", headers=b"Connection: close\r\n")
    post.wait_end()
    assert "HTTP/1.1 405 " in post.head and "Allow: GET, HEAD" in post.head


def test_an_idle_stream_gets_a_heartbeat(program, open_stream):
    stream = open_stream(program)
    wait_until("three heartbeats", lambda: stream.bytes.count(b"\n:\n\n") >= 3)
    assert not stream.ended


def test_readers_above_the_limit_are_refused_and_leaving_makes_room(program, open_stream):
    first, *_ = (open_stream(program) for _ in range(MOST_READERS))
    wait_until("all readers", lambda: readers(program) == MOST_READERS)
    refused = open_stream(program, headers=b"Connection: close\r\n")
    refused.wait_end()
    assert "HTTP/1.1 503 " in refused.head and "Retry-After: 1" in refused.head
    first.close()
    wait_until("one reader less", lambda: readers(program) == MOST_READERS - 1)
    open_stream(program).wait_events(1)


def test_a_reload_keeps_streams_and_their_answers(program, batch, open_stream):
    stream = open_stream(program, batch.path + "?answer=true")
    stream.wait_events(1)
    program.command("reload")
    batch.rename("second.txt")
    assert names(stream.wait_events(2)[1]) == ["second.txt"]


def test_a_reload_of_the_vocabularies_changes_the_words_of_open_streams(bare_service, open_stream):
    vocabularies = '["admin-dashboard-service"] = "%s"'
    config = bare_service.folder / "own.lua"
    plain = 'vocabularies = {', 'vocabularies = { '
    edited_config(config, plain)
    program = bare_service.start(config)
    bare_service.wait_ready()
    batch = Batch(bare_service)
    stream = open_stream(program, batch.path + "?answer=true")
    first = stream.wait_events(1)[0]
    edited_config(config, (plain[0], plain[1] + vocabularies % "internal" + ","))
    program.command("reload")
    answer = program.get(status_path(batch.id))
    second = stream.wait_events(2)[1]
    assert second["data"]["etag"] == answer[2]["ETag"] != first["data"]["etag"]
    assert second["data"]["answer"] == json.loads(answer[1])


def open_unread(program, path, cleanup):
    """A client with a small window that asks for a stream and reads nothing."""
    client = socket.socket()
    cleanup.callback(client.close)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", program.port))
    client.sendall(b"GET %b?answer=true HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), KEYS))
    return client


def test_a_reader_that_takes_nothing_is_ended_and_holds_up_nobody(program, batch, cleanup,
                                                                    open_stream):
    before = slow_readers(program)
    open_unread(program, batch.path, cleanup)
    quick = open_stream(program, batch.path + "?answer=true")
    for number in range(40):
        batch.rename(f"{number:04}{'x' * 200_000}.txt")
        if slow_readers(program) > before:
            break
    wait_until("the slow reader's end", lambda: slow_readers(program) == before + 1)
    batch.rename("last.txt")
    wait_until("the last name", lambda: names(quick.events[-1]) == ["last.txt"])


def test_a_client_that_leaves_within_an_event_costs_nobody_else_an_event(program, batch, cleanup,
                                                                          open_stream):
    leaving = open_unread(program, batch.path, cleanup)
    staying = open_stream(program, batch.path + "?answer=true")
    staying.wait_events(1)
    batch.rename("x" * 3_000_000)  # more than the socket's buffers hold
    staying.wait_events(2)
    leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    leaving.close()  # a reset
    wait_until("one reader", lambda: readers(program) == 1)
    batch.rename("last.txt")
    assert names(staying.wait_events(3)[-1]) == ["last.txt"]


def test_streams_end_at_once_when_the_program_stops(bare_service, open_stream):
    program = bare_service.start(**LONG_DRAIN)
    stream = open_stream(program)
    stream.wait_events(1)
    assert program.stop() == 0
    stream.wait_end()


def test_a_reload_without_the_route_ends_its_streams(bare_service, scripts, open_stream):
    program = bare_service.start(SCRIPTS_ROOT=str(scripts))
    bare_service.wait_ready()
    stream = open_stream(program)
    stream.wait_events(1)
    route = scripts / "routes/batch_status.lua"
    text = route.read_text()
    assert "\n  live = " in text
    route.write_text(text.replace("\n  live = ", "\n  -- live = "))
    described = scripts / "openapi.json"
    document = json.loads(described.read_text())
    del document["paths"][live_path("{batch_id}")]
    described.write_text(json.dumps(document))
    said = program.command("reload", "--drop", check=False)
    assert said.returncode == 0, said
    stream.wait_end()
    assert stream.events[-1]["data"]["status"] == 410
    assert program.get(live_path())[0] == 404


def test_a_reload_that_revokes_a_key_ends_the_streams(bare_service, open_stream):
    config = bare_service.folder / "own.lua"
    keys = API_KEYS, 'api_keys = { "leaked", "second" }'
    edited_config(config, keys)
    program = bare_service.start(config)
    bare_service.wait_ready()
    words = KEYS.replace(HEADERS["X-Internal-API-Key"].encode(), b"leaked")
    stream = open_stream(program, keys=words)
    stream.wait_events(1)
    edited_config(config, (API_KEYS, 'api_keys = { "second" }'))
    program.command("reload")
    stream.wait_end()
    again = open_stream(program, keys=words, headers=b"Connection: close\r\n")
    again.wait_end()
    assert "HTTP/1.1 401 " in again.head


def test_a_stream_over_tls(bare_service, tmp_path, open_stream):
    authority = certificates.Authority(tmp_path / "tls")
    program = bare_service.prepare(AGGREGATOR_HTTP_LIVE_HEARTBEAT_MS="100")
    program.serve_tls(*authority.issue("server"), authority.certificate).start()
    stream = open_stream(program)
    assert stream.wait_events(1)[0]["data"]["status"] == 404
    wait_until("heartbeats", lambda: stream.bytes.count(b"\n:\n\n") >= 2)
    stream.close()
    wait_until("no reader", lambda: readers(program) == 0)


def test_an_upgrade_ends_the_streams_and_the_new_process_opens_them_again(bare_service, tmp_path, cleanup,
                                                                           open_stream):
    installed = Installed(bare_service, tmp_path, cleanup, **LONG_DRAIN)
    batch = Batch(bare_service)
    stream = open_stream(installed.program, batch.path + "?answer=true")
    known = stream.wait_events(1)[0]["id"]
    assert installed.upgrade()[0] == 0
    stream.wait_end()
    again = open_stream(installed.program, batch.path + "?answer=true",
                        headers=f"Last-Event-ID: {known}\r\n".encode())
    wait_until("the reader", lambda: readers(installed.program) == 1)
    installed.wait_ended(installed.first)
    batch.service.publish([slot_event(batch.id, batch.essay, "after.txt", 1)])
    assert [names(event) for event in again.wait_events(1)] == [["after.txt"]]


# ---- docs/live.html ---------------------------------------------------------------------------------


class Recorder(live_page.Handler):
    """Notes each stream that a browser opens."""

    opened = []

    def forward(self):
        self.opened.append(self)
        super().forward()


@pytest.fixture
def page(program, cleanup):
    """docs/live.html in a browser, behind a server that forwards to the program."""
    Recorder.opened = []
    server = live_page.Server(0, f"127.0.0.1:{program.port}", handler=Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cleanup.callback(server.server_close)
    cleanup.callback(server.shutdown)
    chromium = Browser(f"http://127.0.0.1:{server.server_port}")
    cleanup.callback(chromium.quit)
    chromium.driver.get(f"{chromium.origin}/")
    return chromium


def open_page(page, path, key=HEADERS["X-Internal-API-Key"]):
    page.run("""const [path, key, service] = arguments;
                for (const [id, value] of Object.entries({ path, key, service })) {
                  document.getElementById(id).value = value;
                }""", path, key, HEADERS["X-Service-ID"])
    page.click("#open")


def test_the_page_shows_each_change_and_opens_a_lost_stream_again(page, batch):
    open_page(page, batch.path)
    page.wait("#answer", "first.txt")
    batch.rename("second.txt")
    page.wait("#answer", "second.txt")
    newest = page.find("#events li")[0].text.rsplit(" ", 1)[1]
    Recorder.opened[0].connection.shutdown(socket.SHUT_RDWR)
    wait_until("a second stream", lambda: len(Recorder.opened) == 2)
    assert Recorder.opened[1].headers["Last-Event-ID"] == newest
    page.wait("#state", "open")
    batch.rename("third.txt")
    page.wait("#answer", "third.txt")
    assert len(page.find("#events li")) == 3
    page.click("#close")
    page.wait("#state", "closed")


def test_the_page_says_why_a_stream_is_refused(page):
    open_page(page, live_path(), key="wrong")
    page.wait("#state", "refused: 401")
    assert len(Recorder.opened) == 1 and page.find("#open:enabled")


def test_the_page_sends_a_key_in_utf_8(page):
    open_page(page, live_path(), key="schlüssel-ключ")
    page.wait("#state", "refused: 401")
    assert Recorder.opened[0].headers["X-Internal-API-Key"].encode("latin-1").decode() == "schlüssel-ключ"

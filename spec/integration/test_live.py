"""Live routes: a stream of events tells of each change of an answer, in this process and others."""
import json
import socket
import threading

import pytest
from harness import slot_event
from http_client import KEYS
from stack import HEADERS, wait_until
from test_cache import BATCH, ESSAY, register, rename
from views import status_path

PATH = f"/internal/v1/batches/{BATCH}/events"


class Stream:
    """A reader of one stream: its head, and what has come since."""

    def __init__(self, program, path=PATH, headers=b"", method=b"GET", keys=KEYS):
        self.socket = socket.create_connection(("127.0.0.1", program.port), timeout=20)
        self.socket.sendall(b"%b %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n"
                            % (method, path.encode(), keys, headers))
        self.bytes, self.ended = b"", False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while data := self.socket.recv(65536):
                self.bytes += data
        except OSError:
            pass
        self.ended = True

    @property
    def head(self):
        return self.bytes.partition(b"\r\n\r\n")[0].decode()

    @property
    def events(self):
        """The events as dictionaries of their fields; data is decoded."""
        body = self.bytes.partition(b"\r\n\r\n")[2]
        found = []
        for block in body.split(b"\n\n")[:-1]:
            fields = [line.partition(": ")[::2] for line in block.decode().splitlines()]
            if any(name == "event" for name, _ in fields):
                event = dict(fields)
                event["data"] = json.loads("\n".join(text for name, text in fields
                                                     if name == "data"))
                found.append(event)
        return found

    def wait_events(self, count):
        wait_until(f"{count} events", lambda: len(self.events) >= count or self.ended)
        assert len(self.events) >= count, self.bytes
        return self.events

    def wait_end(self):
        wait_until("the stream's end", lambda: self.ended)

    def close(self):
        self.socket.close()


@pytest.fixture
def open_stream(cleanup):
    def start(program, *arguments, **options):
        stream = Stream(program, *arguments, **options)
        cleanup.callback(stream.close)
        return stream

    return start


@pytest.fixture
def watched(service):
    """A service with one batch of one essay."""
    register(service)
    rename(service, "first.txt", 1)
    return service


def names(event):
    return [essay["filename"] for essay in event["data"]["answer"]["essays"]]


def readers(program):
    return program.metric("ras_http_live_readers")


def test_a_stream_begins_with_the_answer_and_tells_of_each_change(watched, open_stream):
    program = watched.program
    stream = open_stream(program, PATH + "?answer=true")
    first = stream.wait_events(1)[0]
    assert "HTTP/1.1 200 OK" in stream.head and "Content-Type: text/event-stream" in stream.head
    assert "Content-Length" not in stream.head and "Cache-Control: no-store" in stream.head
    assert names(first) == ["first.txt"] and first["data"]["status"] == 200
    answer = program.get(status_path(BATCH))
    assert first["data"]["answer"] == json.loads(answer[1])
    assert first["data"]["etag"] == answer[2]["ETag"] == f'"{first["id"]}"'
    rename(watched, "second.txt", 2)
    second = stream.wait_events(2)[1]
    assert names(second) == ["second.txt"] and second["id"] != first["id"]
    rename(watched, "other.txt", 3, batch="another", essay="other")
    rename(watched, "third.txt", 4)
    assert names(stream.wait_events(3)[2]) == ["third.txt"]
    assert len(stream.events) == 3 and not stream.ended


def test_without_the_answer_an_event_has_status_and_etag(watched, open_stream):
    stream = open_stream(watched.program)
    assert set(stream.wait_events(1)[0]["data"]) == {"status", "etag"}


def test_a_reader_that_has_the_answer_gets_no_event_until_it_changes(watched, open_stream):
    known = open_stream(watched.program).wait_events(1)[0]["id"]
    again = open_stream(watched.program, PATH + "?answer=true",
                        headers=f"Last-Event-ID: {known}\r\n".encode())
    wait_until("both streams", lambda: readers(watched.program) == 2)
    rename(watched, "second.txt", 2)
    assert [names(event) for event in again.wait_events(1)] == [["second.txt"]]


def test_a_stream_of_an_unknown_batch_tells_of_its_registration(service, open_stream):
    stream = open_stream(service.program, PATH + "?answer=true")
    assert stream.wait_events(1)[0]["data"]["status"] == 404
    service.publish([{"topic": "huleedu.batch.essays.registered.v1", "key": BATCH, "value": {
        "event_id": "7d1c9a52-7f0b-4b8e-9a3e-0d5d6a9b1c01",
        "event_type": "huleedu.batch.essays.registered.v1",
        "event_timestamp": "2025-06-28T08:00:00.000000Z", "source_service": "x",
        "correlation_id": "7d1c9a52-7f0b-4b8e-9a3e-0d5d6a9b1c02",
        "data": {"entity_id": BATCH, "entity_type": "batch", "parent_id": None,
                 "course_code": "ENG5", "student_prompt_ref": None, "expected_essay_count": 1,
                 "essay_ids": [ESSAY], "user_id": "teacher",
                 "metadata": {"entity_id": BATCH, "entity_type": "batch", "parent_id": None,
                              "timestamp": "2025-06-28T08:00:00.000000Z",
                              "processing_stage": "pending", "event": "batch.registered",
                              "started_at": "2025-06-28T08:00:00.000000Z", "completed_at": None,
                              "error_info": {}}}}}])
    assert stream.wait_events(2)[1]["data"]["status"] == 200


def test_changes_of_other_processes_arrive(watched, open_stream):
    other = watched.start()
    watched.wait_ready(other)
    streams = [open_stream(program, PATH + "?answer=true") for program in watched.programs]
    for stream in streams:
        stream.wait_events(1)
    rename(watched, "second.txt", 2)
    for stream in streams:
        assert names(stream.wait_events(2)[1]) == ["second.txt"]


@pytest.mark.parametrize("redis", ["own", "none"])
def test_without_redis_or_a_cache_changes_arrive(make_service, cleanup, open_stream, redis):
    service = make_service(cleanup, redis=redis)
    service.start(CACHE_ENABLED="false")
    service.wait_ready()
    register(service)
    rename(service, "first.txt", 1)
    stream = open_stream(service.program, PATH + "?answer=true")
    stream.wait_events(1)
    rename(service, "second.txt", 2)
    assert names(stream.wait_events(2)[1]) == ["second.txt"]


def test_each_reader_gets_its_own_words(watched, open_stream):
    plain = open_stream(watched.program, PATH + "?answer=true")
    keys = KEYS.replace(HEADERS["X-Service-ID"].encode(), b"bff-teacher-service")
    translated = open_stream(watched.program, PATH + "?answer=true", keys=keys)
    words = [stream.wait_events(1)[0]["data"]["answer"]["overall_status"]
             for stream in (plain, translated)]
    answers = [json.loads(watched.program.get(status_path(BATCH), HEADERS | {"X-Service-ID": name})[1])
               for name in (HEADERS["X-Service-ID"], "bff-teacher-service")]
    assert words == [answer["overall_status"] for answer in answers]


@pytest.mark.parametrize("path, status", [
    (PATH + "?limit=5", 400), (PATH + "?answer=yes", 400), (PATH + "/more", 404)])
def test_a_wrong_request_gets_no_stream(service, open_stream, path, status):
    stream = open_stream(service.program, path, headers=b"Connection: close\r\n")
    stream.wait_end()
    assert f"HTTP/1.1 {status} " in stream.head and readers(service.program) == 0


def test_a_stream_needs_the_routes_credentials(service, open_stream):
    stream = open_stream(service.program, keys=b"", headers=b"Connection: close\r\n")
    stream.wait_end()
    assert "HTTP/1.1 401 " in stream.head


def test_head_and_other_methods_open_no_stream(service, open_stream):
    head = open_stream(service.program, method=b"HEAD")
    head.wait_end()
    assert "HTTP/1.1 200 OK" in head.head and head.bytes.endswith(b"\r\n\r\n")
    post = open_stream(service.program, method=b"POST", headers=b"Connection: close\r\n")
    post.wait_end()
    assert "HTTP/1.1 405 " in post.head and "Allow: GET, HEAD" in post.head


def test_an_idle_stream_gets_a_heartbeat(make_service, cleanup, open_stream):
    service = make_service(cleanup)
    service.start(AGGREGATOR_HTTP_LIVE_HEARTBEAT_MS="100")
    stream = open_stream(service.program)
    wait_until("three heartbeats", lambda: stream.bytes.count(b"\n:\n\n") >= 3)
    assert not stream.ended


def test_readers_above_the_limit_are_refused_and_leaving_makes_room(make_service, cleanup,
                                                                      open_stream):
    service = make_service(cleanup)
    service.start(AGGREGATOR_HTTP_MAX_LIVE_READERS="2")
    first, _ = (open_stream(service.program) for _ in range(2))
    wait_until("two readers", lambda: readers(service.program) == 2)
    refused = open_stream(service.program, headers=b"Connection: close\r\n")
    refused.wait_end()
    assert "HTTP/1.1 503 " in refused.head and "Retry-After: 1" in refused.head
    first.socket.shutdown(socket.SHUT_RDWR)
    wait_until("one reader", lambda: readers(service.program) == 1)
    open_stream(service.program).wait_events(1)


def test_a_reload_keeps_streams_and_their_answers(watched, open_stream):
    stream = open_stream(watched.program, PATH + "?answer=true")
    stream.wait_events(1)
    watched.program.command("reload")
    rename(watched, "second.txt", 2)
    assert names(stream.wait_events(2)[1]) == ["second.txt"]


def test_streams_end_when_the_program_stops(watched, open_stream):
    stream = open_stream(watched.program)
    stream.wait_events(1)
    assert watched.program.stop() == 0
    stream.wait_end()


def test_a_reader_that_takes_nothing_is_ended_and_holds_up_nobody(make_service, cleanup, open_stream):
    service = make_service(cleanup)
    service.start(AGGREGATOR_HTTP_REQUEST_TIMEOUT_MS="300")
    register(service)
    rename(service, "first.txt", 1)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.connect(("127.0.0.1", service.program.port))
    cleanup.callback(slow.close)
    slow.sendall(b"GET %b?answer=true HTTP/1.1\r\nHost: x\r\n%b\r\n" % (PATH.encode(), KEYS))
    quick = open_stream(service.program, PATH + "?answer=true")
    long_names = [f"{number:04}{'x' * 200_000}.txt" for number in range(40)]
    for second, name in enumerate(long_names, 2):
        rename(service, name, second)
        if service.program.metric("ras_http_live_slow_total") > 0:
            break
    wait_until("the slow reader's end",
               lambda: service.program.metric("ras_http_live_slow_total") == 1)
    rename(service, "last.txt", 60)
    wait_until("the last name", lambda: names(quick.events[-1]) == ["last.txt"])

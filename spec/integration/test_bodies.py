"""Long bodies: responses that are streamed in bounded memory, and the memory of request bodies."""
import gzip
import os
import re
import shutil
import time

import http_client
import pytest
from stack import ROOT, wait_until

EXPORT = """
local pg = require("pg")
return { path = "/export/{rows}", auth = false, stream = true, handle = function(request)
  return { status = 200, headers = { ["Content-Type"] = "application/x-ndjson" },
    stream = function(write)
      return pg.each("export", { rows = request.params.rows }, function(row)
        write(row.line .. "\\n")
      end)
    end }
end }
"""
EXPORT_SQL = "SELECT g || repeat(' padding', 125) AS line FROM generate_series(1, :rows::int) g\n"
PARTS = """
local long = ("x"):rep(100000)
local away = { kind = "unavailable", message = "the store is away" }
local streams = {
  none = function() end,
  short = function(write) write('{"a":') write("1}") end,
  fails = function(write) write("a") error("cannot begin") end,
  away = function(write) write("a") return nil, away end,
  breaks = function(write) write(long) error("cannot go on") end,
  lost = function(write) write(long) return nil, away end,
  done = function(write) write("a") return true end,
  text = function(write) write("a") return nil, "oops" end,
  no = function(write) write("a") return false end,
  word = function(write) write("a") return "text" end,
  lost_text = function(write) write(long) return nil, "oops" end,
  lost_no = function(write) write(long) return false end,
  stubborn = function(write) while true do pcall(write, long) end end,
  endless = function(write) while true do write(long) end end,
  loops = function(write) write(long) while true do end end,
}
return { path = "/parts/{kind}", auth = false, stream = true, handle = function(request)
  if request.params.kind == "plain" then return { status = 404, error = "No such" } end
  return { status = 201, stream = streams[request.params.kind] }
end }
"""
TEXT = """
return { method = "PUT", path = "/texts", auth = false,
  body = { content_type = "text/plain", max_bytes = 1000000 },
  handle = function(request) return { status = 200, body = tostring(#request.body) } end }
"""
ROWS = int(os.environ.get("STREAM_ROWS", "120000"))  # of 1 KB
MOST_MIB = max(200, ROWS // 900)
EDITS = [("request_timeout_ms = 10000", "request_timeout_ms = 5000, max_streams = 2, "
          f"stream_max_mb = {MOST_MIB}, request_bodies_max_mb = 16, drain_timeout_ms = 100")]
MIB = 1 << 20


@pytest.fixture(scope="module")
def program():
    with http_client.servers() as world:
        scripts, sql = world.folder / "scripts", world.folder / "sql"
        shutil.copytree(ROOT / "scripts", scripts)
        shutil.copytree(ROOT / "sql", sql)
        for name, text in {"export": EXPORT, "parts": PARTS, "text": TEXT}.items():
            (scripts / f"routes/{name}.lua").write_text(text)
        (sql / "queries/export.sql").write_text(EXPORT_SQL)
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"
        started = world.start(env={"SCRIPTS_ROOT": str(scripts), "SQL_ROOT": str(sql),
                                   "ASAN_OPTIONS": sanitizer}, edits=EDITS)
        yield started.wait_ready()
        with started.client() as client:  # a stop does not wait for a body that has no end
            begin(client, "/parts/endless")
            assert started.stop() == 0
        log = started.log.read_text()
        assert '"reason":"stopped"' in log
        assert "Sanitizer" not in log and "runtime error" not in log


class Body:
    """Reads the body of a response piece by piece."""

    def __init__(self, client, answer):
        self.client, self.answer = client, answer
        self.chunked = answer.header("Transfer-Encoding") == "chunked"

    def take(self, size):
        client = self.client
        while len(client.pending) < size:
            if not client.receive():
                raise EOFError(f"{len(client.pending)} of {size} bytes")
        data, client.pending = client.pending[:size], client.pending[size:]
        return data

    def line(self):
        text = b""
        while not text.endswith(b"\r\n"):
            text += self.take(1)
        return text[:-2]

    def pieces(self):
        """Raises EOFError or ConnectionError where the response is not whole."""
        if not self.chunked:
            while self.client.pending or self.client.receive():
                yield self.take(len(self.client.pending))
            return
        while (size := int(self.line(), 16)) > 0:
            yield self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n"


def begin(client, path, **options):
    answer = client.request(path, **options).answer("HEAD")  # the head alone
    return answer, Body(client, answer)


def broken(program, reason):
    return program.samples().get(
        f'ras_api_streams_broken_total{{endpoint="routes/parts",reason="{reason}"}}', 0)


def idle(program):
    wait_until("the end of all streams", lambda: program.samples().get("ras_api_streams", 0) == 0)


# ---- responses that are streamed --------------------------------------------------------------

def test_rows_are_sent_in_chunks_and_the_connection_stays(program):
    with program.client() as client:
        for rows in (300, 1):
            answer, body = begin(client, f"/export/{rows}")
            assert answer.status == 200 and answer.header("ETag") is None
            assert answer.header("Content-Type") == "application/x-ndjson"
            assert answer.header("Cache-Control") == "no-store"
            assert body.chunked == (rows == 300)  # a short one has a length
            if body.chunked:
                assert answer.header("Content-Length") is None
                data = b"".join(body.pieces())
            else:
                data = body.take(int(answer.header("Content-Length")))
            lines = data.decode().splitlines()
            assert [int(line.split(" ")[0]) for line in lines] == list(range(1, rows + 1))
            assert all(line.endswith(" padding" * 125) for line in lines)


def test_a_client_of_http_1_0_gets_the_bytes_up_to_the_end(program):
    with program.client() as client:
        answer, body = begin(client, "/export/300", version=b"1.0")
        assert answer.header("Transfer-Encoding") is None
        assert answer.header("Connection") == "close"
        assert b"".join(body.pieces()).count(b"\n") == 300


def test_a_head_makes_no_body(program):
    with program.client() as client:
        for _ in range(2):
            answer = client.request("/parts/endless", "HEAD").answer("HEAD")
            assert answer.status == 201 and answer.header("Content-Length") is None


def test_a_stream_is_compressed_where_it_is_text(program):
    with program.client() as client:
        answer, body = begin(client, "/export/300", headers=b"Accept-Encoding: gzip\r\n")
        assert answer.header("Content-Encoding") == "gzip"
        assert answer.header("Vary") == "Accept-Encoding"
        packed = b"".join(body.pieces())
        assert len(packed) < 30000 and gzip.decompress(packed).count(b"\n") == 300


@pytest.mark.parametrize("kind, status, body", [
    ("none", 201, b""), ("done", 201, b"a"), ("short", 201, b'{"a":1}'), ("plain", 404, b'{"error":"No such"}')])
def test_what_ends_within_the_first_piece_is_an_ordinary_response(program, kind, status, body):
    answer = program.ask(f"/parts/{kind}")
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize("kind, status", [("fails", 500), ("away", 503), ("text", 500), ("no", 500),
                                          ("word", 500)])
def test_what_fails_within_the_first_piece_is_an_ordinary_error(program, kind, status):
    answer = program.ask(f"/parts/{kind}")
    assert answer.status == status and "error" in answer.json()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("kind, why", [("breaks", "cannot go on"), ("lost", "the store is away"),
                                       ("lost_text", "oops"), ("lost_no", "returned false"),
                                       ("loops", "took too long")])
def test_a_client_sees_that_a_body_is_not_whole(program, kind, why, version):
    before = broken(program, "failed")
    with program.client() as client, pytest.raises((EOFError, ConnectionError)):
        answer, body = begin(client, f"/parts/{kind}", version=version)
        assert answer.status == 201
        for _ in body.pieces():
            pass
        assert body.chunked
    assert broken(program, "failed") == before + 1
    assert re.search(f'"streamed response ended early".*"reason":"failed".*{why}',
                     program.log.read_text())


def test_a_steady_reader_is_not_cut_off(program):
    """The kernel's buffers hold what it reads in several times request_timeout_ms."""
    rate = 400_000  # bytes a second; the least is 16 KiB in 1.5 s
    with program.client() as client:
        begin(client, "/parts/endless")
        began, taken = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < 2.8:
            got = len(client.socket.recv(int(rate / 20)))
            assert got > 0
            taken += got
            time.sleep(max(0, taken / rate - elapsed))
    idle(program)


def test_a_long_body_takes_bounded_memory(program):
    program.ask("/export/1000")
    before = program.peak_bytes()
    with program.client(timeout=60) as client:
        _, body = begin(client, f"/export/{ROWS}")
        count = sum(piece.count(b"\n") for piece in body.pieces())
    assert count == ROWS
    assert program.peak_bytes() - before < 40 * MIB


def test_a_client_that_reads_nothing_is_dropped(program):
    before = broken(program, "slow_client")
    with program.client() as client:
        begin(client, "/parts/endless")
        wait_until("its end", lambda: broken(program, "slow_client") == before + 1)
    idle(program)


@pytest.mark.parametrize("kind", ["endless", "stubborn"])
def test_a_client_that_leaves_ends_its_stream(program, kind):
    before = broken(program, "client_left")
    with program.client() as client:
        _, body = begin(client, f"/parts/{kind}")
        next(body.pieces())
    wait_until("its end", lambda: broken(program, "client_left") == before + 1)
    idle(program)


def test_a_stream_has_a_largest_size(program):
    with program.client() as client, pytest.raises((EOFError, ConnectionError)):
        _, body = begin(client, "/parts/endless")
        count = 0
        for piece in body.pieces():
            count += len(piece)
            assert count <= MOST_MIB * MIB
    assert broken(program, "too_large") >= 1


def test_streams_leave_threads_for_other_requests(program):
    idle(program)
    with program.client() as one, program.client() as other:
        begin(one, "/parts/endless")
        begin(other, "/parts/endless")
        refused = program.ask("/parts/endless")
        assert refused.status == 503 and refused.header("Retry-After") == "1"
        assert refused.json()["error"] == "Too many responses are being streamed"
        assert program.ask("/batches/none/status").status == 404
    assert program.samples()[
        'ras_api_unavailable_total{endpoint="routes/parts",reason="streams"}'] == 1


# ---- bodies of requests -----------------------------------------------------------------------

def put(client, size, sent):
    return client.send(b"PUT /texts HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n"
                       b"Content-Length: %d\r\n\r\n" % size + b"x" * sent)


def test_the_memory_of_all_bodies_is_bounded_and_returned(program):
    with program.client() as first:
        put(first, 1000000, 1000000).answer()
    before, clients = program.resident_bytes(), [program.client() for _ in range(16)]
    try:
        for client in clients:
            put(client, 1000000, 500000)
        wait_until("the bodies", lambda: program.samples()[
            "ras_http_request_body_bytes"] == 16 * 1000000)
        assert program.resident_bytes() - before < 16 * MIB
        with program.client() as late:
            refused = put(late, 1000000, 0).answer()
            assert refused.status == 503 and refused.header("Retry-After") == "1"
            assert refused.json()["error"] == "Too many request bodies are under way"
            assert late.closed()
        assert program.ask("/batches/none/status").status == 404
        assert clients[0].send(b"x" * 500000).answer().body == b"1000000"
        assert put(clients[0], 1000000, 1000000).answer().body == b"1000000"
    finally:
        for client in clients:
            client.socket.close()
    wait_until("the end of the bodies", lambda: program.samples()[
        "ras_http_request_body_bytes"] == 0)
    assert program.resident_bytes() - before < 5 * MIB
    assert program.samples()[
        'ras_api_unavailable_total{endpoint="routes/text",reason="request_bodies"}'] == 1

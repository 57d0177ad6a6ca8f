"""aggregator status: a page for people, JSON for programs, and an exit status that says the health."""
import contextlib
import json
import re
import socketserver
import struct
import threading
import uuid

import pytest
from harness import preload, read_records
from stack import wait_until
from terminal import CONTROL, Terminal, plain

SLOTS = "huleedu.els.essay.slot.assigned.v1"
DAY_S = 86400
HEALTHY, NO_ANSWER, DEGRADED, NOT_READY = 0, 1, 3, 4


def status(program, *words, **options):
    return program.command("status", *words, check=False, **options)


def dependencies(program):
    return json.loads(status(program, "--json").stdout)["health"]["dependencies"]


@pytest.fixture(scope="module")
def used(make_service):
    """A service that has taken a stream with rejected events. Only to be read."""
    with contextlib.ExitStack() as session:
        service = make_service(session)
        service.start()
        service.wait_ready()
        service.feed("current-hard")
        service.wait_committed(len(read_records("current-hard")))
        wait_until("rates", lambda: json.loads(status(service.program, "--json").stdout)["rates"])
        yield service


def test_the_page_has_health_rates_lag_scripts_outbox_and_the_last_problems(used):
    shown = status(used.program)
    page = shown.stdout
    assert shown.returncode == HEALTHY and not CONTROL.search(page)
    assert page.startswith("READY  program0 ")
    for dependency in ("database", "redis", "kafka"):
        assert f"\n{dependency:10} healthy " in page
    for part in ("RATES of the last 5 s", "INGESTION  0 records behind", SLOTS, "SCRIPTS  generation 1",
                 "OUTBOX  0 messages pending", "this process sends", "REACTIONS  ",
                 "REJECTED  14 events since the start", "LAST WARNINGS AND ERRORS",
                 "event rejected (14 times)", "WHAT TO DO\nevents were rejected: `aggregator rejected list`"):
        assert part in page, part


def test_json_has_what_the_page_shows(used):
    said = json.loads(status(used.program, "--json").stdout)
    assert said["process"]["pid"] == used.program.process.pid and said["process"]["uptime_s"] >= 0
    assert {cell["topic"] for cell in said["lag"]["records"]} >= {SLOTS}
    assert sum(cell["value"] for cell in said["lag"]["committed_offset"]) == \
        len(read_records("current-hard"))
    assert said["rates"]["interval_s"] == 5 and said["rates"]["events_per_s"] >= 0
    assert sum(cell["value"] for cell in said["rejected_events"]) == 14
    newest = said["recent_problems"][0]
    assert (newest["message"], newest["level"], newest["count"]) == ("event rejected", "warning", 14)


@pytest.mark.parametrize("columns", [40, 80])
def test_on_a_terminal_it_has_colours_and_fits(used, columns):
    words = [used.build / "aggregator", "status", *used.program.options]
    terminal = Terminal(words, used.program.env, columns)
    assert terminal.finish() == HEALTHY
    assert "\x1b[32mREADY\x1b[0m" in terminal.screen
    lines = plain(terminal.screen).split("\r\n")
    assert len(lines) > 20 and max(map(len, lines)) <= max(columns, 48), max(lines, key=len)
    terminal.close()


def test_no_color_is_obeyed(used):
    words = [used.build / "aggregator", "status", *used.program.options]
    terminal = Terminal(words, used.program.env | {"NO_COLOR": "1"})
    assert terminal.finish() == HEALTHY and "\x1b" not in terminal.screen
    terminal.close()


def test_the_uptime_does_not_follow_the_wall_clock(bare_service, tmp_path):
    ahead = tmp_path / "ahead"
    ahead.write_bytes(struct.pack("q", 0))
    program = bare_service.prepare(**preload(tmp_path, "wall_clock", WALL_CLOCK=str(ahead)))
    program.start()
    with ahead.open("r+b") as file:  # never shorter: it is mapped
        file.write(struct.pack("q", 2 * DAY_S))
    said = json.loads(status(program, "--json").stdout)["process"]
    assert 0 <= said["uptime_s"] < DAY_S, said
    page = status(program).stdout
    assert re.search(r"^SCRIPTS  generation 1, .* \(2 d 0 h ago\)$", page, re.MULTILINE), page


def test_what_an_event_says_cannot_steer_the_terminal(service):
    service.publish([{"topic": SLOTS, "key": "k", "value": {
        "event_id": "\x1b[2J\u202e\x9b", "event_type": SLOTS, "event_timestamp": "2025-06-28T09:00:00Z",
        "source_service": "s", "correlation_id": str(uuid.uuid4()), "data": {}}}])
    service.wait_committed(1)
    page = status(service.program).stdout
    assert "event rejected" in page
    assert not {"\x1b", "\x9b", "\u202e"} & set(page)


def test_without_redis_it_is_degraded_and_says_since_when_and_why(service):
    before = dependencies(service.program)["redis"]["since"]
    service.redis.stop()
    wait_until("degradation", lambda: dependencies(service.program)["redis"]["status"] == "degraded")
    after = dependencies(service.program)["redis"]["since"]
    assert after > before
    shown = status(service.program)
    assert shown.returncode == DEGRADED and shown.stdout.startswith("READY, degraded")
    assert "Redis cannot be connected to" in shown.stdout
    assert "redis: the docs, operate/reasons.md" in shown.stdout
    assert dependencies(service.program)["redis"]["since"] == after
    service.redis.start()
    wait_until("health", lambda: status(service.program).returncode == HEALTHY)


def test_a_program_that_is_not_ready_and_one_that_does_not_run(bare_service):
    program = bare_service.prepare(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    absent = status(program)
    assert absent.returncode == NO_ANSWER and "admin.sock" in absent.stderr and not absent.stdout
    program.start()
    shown = status(program)
    assert shown.returncode == NOT_READY and shown.stdout.startswith("NOT READY")
    wait_until("the reason", lambda: "waits for its partitions" in status(program).stdout)


def test_a_missing_migration_is_named_with_the_command(make_service, cleanup):
    service = make_service(cleanup, migrate=False)
    program = service.start()
    wait_until("the reason", lambda: "run `aggregator migrate`" in status(program).stdout)
    database = dependencies(program)["database"]
    assert database["status"] == "unhealthy" and "consumer_offsets" in database["reason"]
    program.command("migrate")
    wait_until("health", lambda: status(program).returncode == HEALTHY)


def test_a_missing_migration_of_the_service_is_named_with_the_command(bare_service):
    """The database answers, and ingestion waits for a table."""
    bare_service.query("DROP SCHEMA public CASCADE")
    bare_service.query("CREATE SCHEMA public")
    program = bare_service.start()
    wait_until("the reason", lambda: "the database lacks" in
               (dependencies(program).get("database") or {}).get("reason", ""))
    assert dependencies(program)["database"]["status"] == "degraded"
    program.command("migrate")
    wait_until("health", lambda: status(program).returncode == HEALTHY)


def test_a_database_that_was_read_only_is_healthy_once_it_is_not(service):
    """A session keeps the setting with which it began."""
    name = service.database_url.rsplit("/", 1)[1]
    service.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    service.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                  "current_database() AND pid <> pg_backend_pid()")
    wait_until("read-only", lambda: "read-only" in dependencies(service.program)["database"].get("reason", ""))
    service.query(f'SET transaction_read_only = off; ALTER DATABASE "{name}" RESET '
                  "default_transaction_read_only")
    wait_until("health", lambda: dependencies(service.program)["database"]["status"] == "healthy", 20)


MISREAD = "gave an answer that this release does not understand: is it of another release?"


@pytest.fixture
def answering(make_service, cleanup, tmp_path):
    """answering(BYTES): a program whose socket belongs to a server that answers BYTES."""
    program = make_service(cleanup, migrate=False).prepare()

    def start(said):
        class Answer(socketserver.StreamRequestHandler):
            def handle(self):
                self.rfile.readline()
                self.wfile.write(said)

        path = tmp_path / "own.sock"
        server = cleanup.enter_context(socketserver.UnixStreamServer(str(path), Answer))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cleanup.callback(server.shutdown)
        program.env["ADMIN_SOCKET"] = str(path)
        return program
    return start


@pytest.mark.parametrize("said, words, reason", [
    (b"", "status", "closed the connection without an answer"),
    (b"", "health", "closed the connection without an answer"),
    (b"\n", "status --json", MISREAD),
    (b"garbage\n", "status --json", MISREAD),
    (b"garbage\n", "health", MISREAD),
    (b"[1]\n", "upgrade", MISREAD),
    (b'{"ready":true}\n', "status", MISREAD),
    (b'{"ready":true}\n', "top --once", MISREAD),
    (b'{"ready":true}\n', "config --running", MISREAD),
    (b"", "config --running", "closed the connection without an answer"),
    (b'{"error":"too \\"busy\\""}\n', "status", 'aggregator: status: too "busy"\n'),
    (b'{"error":"too \\"busy\\""}\n', "status --json", 'aggregator: status: too "busy"\n'),
    (b'{"error":"too \\"busy\\""}\n', "top --once", 'aggregator: top: too "busy"\n'),
    (b'{"error":"too \\"busy\\""}\n', "config --running", 'aggregator: config: too "busy"\n')])
def test_an_answer_that_cannot_be_shown_fails_with_its_reason(answering, said, words, reason):
    failed = answering(said).command(*words.split(), check=False)
    assert (failed.returncode, failed.stdout) == (NO_ANSWER, ""), failed.stdout
    assert reason in failed.stderr and "_report:" not in failed.stderr

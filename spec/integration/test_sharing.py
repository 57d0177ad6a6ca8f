"""Workers and processes share the partitions; joining and leaving loses nothing."""
import contextlib
import json
import uuid

import psycopg2
import pytest
import spell_results
from harness import check_counted, log_lines, read_records
from stack import wait_until
from views import check_view

TOTAL = len(read_records("current"))


def assigned(program):
    """Workers of a program that hold partitions."""
    body = program.get("/readyz")[1]
    return json.loads(body)["dependencies"]["kafka"]["assigned"] if body else 0


def test_workers_of_one_process_share_the_partitions(make_service, cleanup):
    service = make_service(cleanup)
    program = service.start(INGEST_WORKERS="3")
    wait_until("three workers with partitions", lambda: assigned(program) == 3)
    service.feed("current")
    check_view(program, "current")
    service.wait_committed(TOTAL)
    check_counted(program, "ras_messages_processed_total", TOTAL)


def test_processes_share_the_partitions(make_service, cleanup, apache):
    service = make_service(cleanup, apache)
    programs = [service.start(), service.start()]
    for program in programs:
        service.wait_ready(program)
    wait_until("a share for each", lambda: all(assigned(program) for program in programs))
    service.feed("current", 200)
    for program in programs:
        check_view(program, "current")
    service.wait_committed(TOTAL)
    shares = [program.metric("ras_messages_processed_total") for program in programs]
    assert all(shares) and sum(shares) >= TOTAL


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_joining_and_leaving_loses_nothing(make_service, cleanup, apache, end):
    service = make_service(cleanup, apache)
    first = service.prepare_quick().start()
    service.wait_ready(first)
    feeder = service.feed("current", 25, wait=False)
    service.wait_committed(10)
    second = service.prepare_quick(INGEST_WORKERS="2").start()
    service.wait_ready(second)
    wait_until("work of the second", lambda: second.metric("ras_messages_processed_total") > 0)
    getattr(first, end)()
    before = second.metric("ras_messages_processed_total")
    wait_until("more work of the second",
               lambda: second.metric("ras_messages_processed_total") > before)
    first.start()
    assert feeder.wait() == 0
    for program in (first, second):
        check_view(program, "current")
    service.wait_committed(TOTAL)
    assert service.committed_events() == TOTAL


def lag(program):
    return program.metric("ras_consumer_lag_messages")


def test_lag_is_reported_by_the_owner_only(make_service, cleanup, apache):
    """Partitions move while events wait in them."""
    service = make_service(cleanup, apache)
    first = service.prepare_quick().start()
    service.wait_ready(first)
    total = 20_000
    with contextlib.closing(psycopg2.connect(service.database_url)) as lock:
        lock.cursor().execute("LOCK TABLE aggregator_state.consumer_offsets IN SHARE ROW EXCLUSIVE MODE")
        path = service.folder / "backlog.jsonl"
        spell_results.write(path, ({"event_id": uuid.uuid4(), "essay_id": uuid.uuid4()}
                                   for _ in range(total)))
        service.feed(path)
        wait_until("a lag", lambda: lag(first) > 0)
        second = service.prepare_quick().start()
        wait_until("a share for the second", lambda: log_lines(second, "partitions assigned"))
    service.wait_committed(total)
    wait_until("no lag", lambda: lag(first) == lag(second) == 0)

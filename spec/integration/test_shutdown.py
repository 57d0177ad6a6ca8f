"""SIGTERM: requests and transactions end, the worker leaves the group, nothing is lost. A second
signal stops at once."""
import contextlib
import os
import signal
import threading

import json

import pytest
from http_client import KEYS, Client
from harness import (edited_config, log_lines, read_records, readers_held, slot_event,
                     wait_for_held_readers)
from stack import accepts, wait_until
from views import check_view, status_path

BOUND_S = 25  # of a busy machine; less than http.drain_timeout_ms


def start_slow(service, slow_queries, *edits):
    """A service whose query for a batch waits for a lock of the test's."""
    service.start(edited_config(service.folder / "slow.lua",
                                ("route_timeout_ms = 2000", "route_timeout_ms = 20000"), *edits),
                  SQL_ROOT=str(slow_queries))
    service.wait_ready()
    service.feed("first-unlinked")
    service.wait_committed(len(read_records("first-unlinked")))
    return service


@pytest.fixture
def slow(make_service, cleanup, slow_queries):
    return start_slow(make_service(cleanup), slow_queries)


@contextlib.contextmanager
def request_under_way(service):
    """A request that waits until the block ends; yields the list for its response."""
    answers = []
    batch_id = service.query("SELECT batch_id FROM batch_results LIMIT 1")[0][0]
    reader = threading.Thread(
        target=lambda: answers.append(service.program.get(status_path(batch_id))))
    with readers_held(service.database_url):
        reader.start()
        wait_for_held_readers(service.database_url)
        yield answers
    reader.join()


def test_stops_in_order_within_a_bound(service):
    service.feed("current")
    assert service.program.stop(BOUND_S) == 0
    assert [line["message"] for line in log_lines(service.program)][-1] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_get_their_responses(slow, number):
    with request_under_way(slow) as answers:
        slow.program.send(number)
        (line,) = wait_until("the log", lambda: log_lines(slow.program, "stopping"))
        assert line["sender_pid"] == os.getpid()
        assert slow.program.running()
    assert slow.program.process.wait(BOUND_S) == 0
    assert answers[0][0] == 200


def test_a_static_member_ingests_while_its_requests_end(make_service, cleanup, slow_queries):
    """No other process takes its partitions meanwhile."""
    slow = start_slow(make_service(cleanup), slow_queries,
                      ("options = {},", 'options = { ["group.instance.id"] = "one" },'))
    with request_under_way(slow) as answers:
        slow.program.send(signal.SIGTERM)
        wait_until("the log", lambda: log_lines(slow.program, "stopping"))
        slow.publish([slot_event("a-batch", "an-essay", "a file")])
        slow.wait_committed(len(read_records("first-unlinked")) + 1)
        assert slow.program.running()
    assert slow.program.process.wait(60) == 0
    assert answers[0][0] == 200


def test_a_second_signal_ends_it_at_once(slow):
    with request_under_way(slow) as answers:
        slow.program.send(signal.SIGTERM)
        wait_until("the log", lambda: log_lines(slow.program, "stopping"))
        slow.program.send(signal.SIGTERM)
        assert slow.program.process.wait(15) == 130
    assert answers[0][0] == 0
    slow.program.start()
    check_view(slow.program, "first-unlinked")


def test_a_kept_connection_gets_one_more_response(service):
    with Client(service.program.port) as kept, Client(service.program.port) as idle:
        assert kept.request("/healthz").answer().header("Connection") is None
        assert idle.request("/healthz").answer().status == 200
        service.program.send(signal.SIGTERM)
        wait_until("the log", lambda: log_lines(service.program, "stopping"))
        wait_until("the end of listening", lambda: not accepts(service.program.port))
        answer = kept.request("/healthz").answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert kept.closed() and idle.closed(), "the idle one ends after http.keep_alive_timeout_ms"
    assert service.program.process.wait(BOUND_S) == 0


def ask_until_closed(port, path, ends):
    """Requests over one connection until a response says that it closes; notes what went wrong."""
    with Client(port) as kept:
        answer = kept.request(path, headers=KEYS).answer()
        while answer and answer.status == 200 and answer.header("Connection") != "close":
            answer = kept.request(path, headers=KEYS).answer()
        ends.append(answer and (answer.status, answer.header("Connection")))


def test_sixteen_busy_connections_lose_no_response(service):
    service.feed("first-unlinked")
    service.wait_committed(len(read_records("first-unlinked")))
    batch_id = service.query("SELECT batch_id FROM batch_results LIMIT 1")[0][0]
    ends = []
    readers = [threading.Thread(target=ask_until_closed, args=(service.program.port, path, ends))
               for path in [status_path(batch_id), "/healthz"] * 8]
    before = service.program.metric("ras_api_requests_total")
    for reader in readers:
        reader.start()
    wait_until("requests", lambda: service.program.metric("ras_api_requests_total") > before + 500)
    service.program.send(signal.SIGTERM)
    for reader in readers:
        reader.join()
    assert ends == [(200, "close")] * 16
    assert service.program.process.wait(BOUND_S) == 0


def test_a_balancer_has_time_to_notice(make_service, cleanup):
    service = make_service(cleanup)
    program = service.start(HTTP_DRAIN_DELAY_MS="3000")
    service.wait_ready()
    program.send(signal.SIGTERM)
    wait_until("the log", lambda: log_lines(program, "stopping"))
    _, body, _ = wait_until("/readyz", lambda: (
        lambda answer: answer[0] == 503 and answer)(program.get("/readyz")))
    assert json.loads(body)["stopping"] is True
    assert program.get("/readyz/read")[0] == 503
    assert program.get("/healthz")[0] == 200, "it is alive, and takes new connections"
    assert program.process.wait(BOUND_S) == 0


def test_ras_ready_is_what_readyz_answers(make_service, cleanup):
    program = make_service(cleanup).start(HTTP_DRAIN_DELAY_MS="600000")
    wait_until("the metric", lambda: program.metric("ras_ready") == 1)
    program.send(signal.SIGTERM)
    wait_until("/readyz", lambda: program.get("/readyz")[0] == 503)
    assert program.metric("ras_ready") == 0
    program.send(signal.SIGTERM)
    assert program.process.wait(BOUND_S) == 130


def test_the_group_is_left(make_service, cleanup, apache):
    """Otherwise the next member waits for the session timeout, a minute here."""
    service = make_service(cleanup, apache)
    first = service.start(KAFKA_SESSION_TIMEOUT_MS="60000")
    service.wait_ready()
    assert first.stop() == 0
    second = service.start(KAFKA_SESSION_TIMEOUT_MS="60000")
    wait_until("the partitions", lambda: second.get("/readyz")[0] == 200, 50)


def test_restarts_in_order_neither_lose_nor_double_an_event(bare_service):
    service = bare_service
    program = service.prepare_quick().start()
    service.wait_ready()
    feeder = service.feed("current-hard", 30, wait=False)
    restarts = 0
    while feeder.poll() is None:
        before = service.committed_events()
        wait_until("progress",
                   lambda: feeder.poll() is not None or service.committed_events() > before)
        assert program.stop() == 0
        program.start()
        restarts += 1
    assert restarts >= 2
    check_view(program, "current-hard")
    service.wait_committed(len(read_records("current-hard")))
    assert service.committed_events() == len(read_records("current-hard"))


def test_ends_without_any_server(make_service, cleanup):
    """Without any server it does not wait."""
    service = make_service(cleanup, redis="redis://127.0.0.1:1", migrate=False)
    program = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
                            RESULT_AGGREGATOR_SERVICE_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert program.stop(BOUND_S) == 0

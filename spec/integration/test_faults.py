"""Servers and processes are killed, stopped or missing: the final view is the same, queries work as
far as possible, and everything recovers without an operator."""
import json

import apache_kafka
import openapi
import pytest
import redis
import stack
from harness import log_lines, slot_event
from stack import SAMPLES, wait_until
from views import check_view, status_path, wait_for_view

KILLS = 3  # in a stream
RATE = 150  # events a second: a stream takes about two seconds, enough to be met by the faults


def dependency(program, name):
    """(status of /readyz, state of the dependency)."""
    status, body, _ = program.get("/readyz")
    return status, json.loads(body)["dependencies"][name]["status"]


def check_unavailable(program, path):
    answer = program.get(path)
    assert answer[0] == 503, answer[:2]
    openapi.check_answer(path, "GET", answer)


def feed_with_kills(service, stream, process):
    """Publishes a stream in parts; kills and restarts a process within each."""
    lines = (SAMPLES / f"{stream}.jsonl").read_text().splitlines(keepends=True)
    for part in range(KILLS):
        path = service.folder / f"part{part}.jsonl"
        path.write_text("".join(lines[part::KILLS]))
        before = service.committed_events()
        feeder = service.feed(path, RATE, wait=False)
        wait_until("progress", lambda: service.committed_events() > before)
        process.kill()
        process.start()
        assert feeder.wait() == 0


@pytest.fixture
def own_postgres(tmp_path, cleanup):
    """A cluster that may be killed."""
    postgres = stack.Postgres(tmp_path / "postgres")
    cleanup.callback(postgres.remove)
    cleanup.callback(postgres.kill)
    return postgres


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_postgres_down_during_a_stream(make_service, cleanup, own_postgres, end):
    service = make_service(cleanup, postgres_url=own_postgres.start().url())
    program = service.start()
    service.wait_ready()
    service.feed("first-unlinked")
    cached = next(iter(wait_for_view(program, "first-unlinked")))
    body = program.get(status_path(cached))[1]
    seen = service.committed_events()
    feeder = service.feed("current", RATE, wait=False)
    service.wait_committed(seen + 20)
    getattr(own_postgres, end)()
    wait_until("/readyz naming the database",
               lambda: dependency(program, "database") == (503, "unhealthy"))
    status, health, _ = program.get("/healthz")
    assert (status, json.loads(health)["message"]) == (503, "Program0 is unhealthy")
    assert program.get(status_path(cached))[:2] == (200, body)
    check_unavailable(program, status_path("never-asked-before"))
    check_unavailable(program, "/internal/v1/batches/user/somebody")
    own_postgres.start()
    assert feeder.wait() == 0
    check_view(program, "current")
    service.wait_ready()
    assert program.get(status_path("never-asked-before"))[0] == 404


def test_a_missing_table_of_the_program_makes_the_process_unready(service):
    program = service.program
    service.query("DROP TABLE aggregator_state.outbox")
    wait_until("unreadiness", lambda: dependency(program, "database") == (503, "unhealthy"))
    assert b"a schema or table is missing in the database" in program.get("/readyz")[1]
    assert program.get("/readyz/read")[0] == 200
    program.command("migrate")
    service.wait_ready()


def test_postgres_killed_again_and_again_during_a_stream(make_service, cleanup, own_postgres):
    service = make_service(cleanup, postgres_url=own_postgres.start().url())
    program = service.start()
    service.wait_ready()
    feed_with_kills(service, "current-hard", own_postgres)
    check_view(program, "current-hard")


def test_redis_killed_during_a_stream(service):
    program = service.program
    feeder = service.feed("current", RATE, wait=False)
    service.wait_committed(20)
    service.redis.kill()
    wait_until("the metric", lambda: 'ras_dependency_up{dependency="redis"} 0' in
               program.get("/metrics")[1].decode())
    assert program.get("/readyz")[0] == 200
    assert program.get(status_path("unknown"))[0] == 404
    assert feeder.wait() == 0
    check_view(program, "current")
    service.redis.start()
    service.feed("first", RATE)
    check_view(program, "first")
    wait_until("the metric", lambda: 'ras_dependency_up{dependency="redis"} 1' in
               program.get("/metrics")[1].decode())
    assert len(log_lines(program, "redis is unavailable: ingestion continues without it")) == 1


def test_redis_that_starts_later_is_used(make_service, cleanup, tmp_path):
    server = stack.Redis(tmp_path)
    cleanup.callback(server.stop)
    service = make_service(cleanup, redis=server.url)
    program = service.start()
    service.feed("current")
    batch_id = next(iter(wait_for_view(program, "current")))
    server.start()
    client = redis.Redis(port=server.port)

    def answer_is_there():
        # a new event makes the program ask anew, and announce to Redis
        service.publish([slot_event(batch_id, "essay-of-later", "later.txt")])
        return program.status_of(batch_id) and client.exists(f"api:batch:{batch_id}")

    wait_until("the answer in Redis", answer_is_there)
    wait_until("an event id in Redis", lambda: list(client.scan_iter("ras:seen:*")))


def test_a_program_killed_again_and_again_loses_nothing(bare_service):
    service = bare_service
    program = service.prepare_quick().start()
    service.wait_ready()
    feed_with_kills(service, "current", program)
    check_view(program, "current")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_broker_restarted_during_a_stream(make_service, cleanup, apache, end):
    service = make_service(cleanup, apache)
    program = service.start()
    service.wait_ready()
    feeder = service.feed("current", RATE, wait=False)
    batch_id = wait_until("a registered batch", lambda: service.query(
        "SELECT batch_id FROM batch_results WHERE registration_at IS NOT NULL LIMIT 1"))[0][0]
    # Kafka has one of the two spellings of the outcomes' topic: nothing to be warned of
    assert log_lines(program, "a topic does not exist") == []
    getattr(apache, end)()
    assert program.get(status_path(batch_id))[0] == 200, "queries go on without Kafka"
    apache.start()
    assert feeder.wait() == 0
    check_view(program, "current")
    service.wait_ready()


@pytest.mark.parametrize("order", [("postgres", "redis", "kafka"), ("kafka", "redis", "postgres")],
                         ids="-".join)
def test_starts_without_any_server_and_works_once_they_start(build, cleanup, tmp_path,
                                                              own_postgres, order):
    kafka, server = apache_kafka.ApacheKafka(tmp_path / "kafka"), stack.Redis(tmp_path)
    program = stack.Aggregator(tmp_path, build, own_postgres.url("ras"), server.url, kafka.brokers)
    for process in (kafka, server, program):
        cleanup.callback(process.kill)
    program.start()
    assert dependency(program, "database") == (503, "unhealthy")
    assert dependency(program, "kafka") == (503, "unhealthy")
    check_unavailable(program, status_path("any"))

    def start_postgres():
        own_postgres.start().create_database("ras")
        program.command("migrate")
        wait_until("the database", lambda: dependency(program, "database")[1] == "healthy")
        assert program.get(status_path("any"))[0] == 404

    def start_kafka():
        kafka.start()
        kafka.create_topics(build)

    starts = {"postgres": start_postgres, "redis": server.start, "kafka": start_kafka}
    for name in order:
        assert program.get("/readyz")[0] == 503
        starts[name]()
    stack.feed(build, kafka.brokers, "current")
    check_view(program, "current")
    wait_until("readiness", lambda: program.get("/readyz")[0] == 200)


def test_a_database_without_the_schema_is_reported_and_waited_for(make_service, cleanup):
    service = make_service(cleanup, migrate=False)
    program = service.start()
    service.feed("current")
    wait_until("the log", lambda: log_lines(program, "ingest waits for the database"))
    wait_until("a look at it", lambda: dependency(program, "kafka") == (503, "unhealthy"))
    said = log_lines(program, "ingest waits for the database")[0]["error"]
    assert "migrat" in said, said
    program.command("migrate")
    check_view(program, "current")

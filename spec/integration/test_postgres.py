"""Postgres in operation: a standby, a pooler, closed and refused connections."""
import json

import http_client
import psycopg2
import pytest
import stack
from harness import log_lines, read_records
from stack import wait_until
from views import status_path


@pytest.fixture(scope="module")
def world():
    with http_client.servers(own_postgres=True) as made:
        yield made


def at(world, url, **env):
    """A program with another database URL."""
    return world.start(env={"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": url, **env})


def dependencies(program):
    return program.ask("/readyz").json()["dependencies"]


def query(url, sql):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def database_of(world):
    return world.database_url.rsplit("/", 1)[1]


def test_a_connection_that_the_server_closed_is_no_outage(world):
    program = world.start().wait_ready()

    def end_health_connection():
        return query(world.database_url,
                     "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                     "WHERE application_name = 'aggregator health' "
                     "AND datname = current_database()") == [(1,)]

    def ended_while_ready():
        assert program.ask("/readyz").status == 200
        return end_health_connection()

    for _ in range(4):
        wait_until("the connection to be there again", ended_while_ready)
    assert not log_lines(program, "dependency is unavailable")
    program.stop()


def test_too_few_connections_show_in_readiness_with_the_reason(world):
    query(world.database_url, "DROP ROLE IF EXISTS few")
    query(world.database_url, "CREATE ROLE few LOGIN SUPERUSER")
    program = at(world, world.database_url.replace("ras@", "few@")).wait_ready()
    query(world.database_url, "ALTER ROLE few NOSUPERUSER CONNECTION LIMIT 1")
    query(world.database_url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                              "WHERE usename = 'few'")
    wait_until("the reason",
               lambda: "no more connections" in dependencies(program)["database"].get("reason", ""))
    program.kill()
    query(world.database_url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                              "WHERE usename = 'few'")


def test_a_pooler_by_statement_is_refused_with_what_it_must_be(world):
    pooler = stack.PgBouncer(world.folder / "by-statement", world.postgres, mode="statement").start()
    world.cleanup.callback(pooler.kill)
    program = at(world, pooler.url(database_of(world)))
    refused = program.command("check", check=False)
    assert refused.returncode == 1 and "must pool by session or transaction" in refused.stderr


POOLED = "a pooler stands before Postgres: statements are {}kept prepared, and settings go with each " \
    "transaction"


def ingest_behind(world, pooler, group, **env):
    """The program that reached the database by this pooler, has ingested all, and answered."""
    world.cleanup.callback(pooler.kill)
    records = read_records("current")
    program = at(world, pooler.start().url(database_of(world)), KAFKA_CONSUMER_GROUP_ID=group,
                 **env).wait_ready()
    world.feed(records)
    batch = next(record["value"]["data"]["entity_id"] for record in records
                 if record["topic"] == "huleedu.batch.essays.registered.v1")
    wait_until("the batch", lambda: program.status_of(batch))
    wait_until("the whole log", lambda: query(
        world.database_url, "SELECT coalesce(sum(next_offset) FILTER (WHERE next_offset > 0), 0) "
        f"FROM aggregator_state.consumer_offsets WHERE consumer_group = '{group}'")[0][0] >= len(records))
    return program


def assert_verifies(program):
    verified = program.command("verify", check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_service_behind_a_pooler_by_transaction_ingests_answers_and_verifies(world):
    pooler = stack.PgBouncer(world.folder / "pooler", world.postgres, pool_size=8)
    program = ingest_behind(world, pooler, "behind-a-pooler")
    kept = "" if stack.pgbouncer_version() >= (1, 21) else "not "
    assert len(log_lines(program, POOLED.format(kept))) == 1
    assert_verifies(program)
    assert not query(world.database_url, "SELECT FROM aggregator_state.consumer_offsets "
                                         "WHERE consumer_group = 'shadow'")
    assert query(world.database_url, "SELECT count(*) FROM pg_locks "
                                     "WHERE locktype = 'advisory'")[0][0] == 0
    assert program.stop() == 0


def test_verify_passes_behind_a_pooler_that_loses_the_statements_that_it_is_told_to_keep(world):
    forgets = {"max_prepared_statements": 0} if stack.pgbouncer_version() >= (1, 21) else {}
    pooler = stack.PgBouncer(world.folder / "forgetful", world.postgres, pool_size=8, settings=forgets)
    program = ingest_behind(world, pooler, "behind-a-forgetful-pooler")
    program.env["AGGREGATOR_POSTGRES_PREPARE"] = "always"
    assert_verifies(program)
    assert program.stop() == 0


def test_a_service_behind_a_pooler_by_session_keeps_statements_where_it_is_told_to(world):
    pooler = stack.PgBouncer(world.folder / "by-session", world.postgres, mode="session", pool_size=40)
    program = ingest_behind(world, pooler, "by-session", AGGREGATOR_POSTGRES_PREPARE="always")
    assert len(log_lines(program, POOLED.format(""))) == 1
    assert not log_lines(program, "the pooler before Postgres lost a prepared statement: it pools by "
                                  "transaction and keeps none, so that statements are no longer prepared")
    assert program.stop() == 0


def test_a_process_at_a_standby_takes_no_partitions_until_it_is_promoted(world):
    standby = stack.Standby(world.folder / "standby", world.postgres)
    world.cleanup.callback(standby.remove)
    world.cleanup.callback(standby.kill)
    standby.start()
    url = standby.url(database_of(world))
    wait_until("the standby", lambda: query(url, "SELECT pg_is_in_recovery()") == [(True,)])
    program = at(world, url, KAFKA_CONSUMER_GROUP_ID="at-a-standby")
    wait_until("that it leaves the group", lambda: log_lines(
        program, "the database is read-only: the worker leaves the consumer group"))
    answer = program.ask("/readyz")
    assert answer.status == 503
    assert program.ask("/readyz/read").status == 200
    assert "standby" in answer.json()["dependencies"]["database"]["reason"]
    found = wait_until("the worker's reason", lambda: [
        kafka for kafka in [dependencies(program)["kafka"]]
        if "standby" in kafka.get("reason", "")])[0]
    assert found["assigned"] == 0
    assert [program.get(status_path("nowhere"))[0] for _ in range(5)] == [404] * 5
    assert program.metric("ras_cache_hits_total") == 0, "it may be older than what was announced"
    standby.promote()
    program.wait_ready()
    wait_until("a cached answer", lambda: program.get(status_path("nowhere"))[0] == 404 and
               program.metric("ras_cache_hits_total") > 0)
    assert dependencies(program)["kafka"]["assigned"] > 0
    assert program.stop() == 0


def test_probes_name_the_unavailable_system_without_its_address(world):
    program = at(world, "postgresql://a-role:its-password@127.0.0.1:1/name",
                 REDIS_URL="redis://:another-password@127.0.0.1:2")
    wait_until("a look", lambda: program.ask("/readyz").status == 503)
    for path in ("/readyz", "/healthz"):
        body = json.dumps(program.ask(path, headers=b"").json())
        for secret in ("127.0.0.1", "a-role", "password", "refused"):
            assert secret not in body, body
    assert dependencies(program)["database"]["reason"] == "cannot connect to the database"
    assert "127.0.0.1" in log_lines(program, "dependency is unavailable")[0]["reason"]
    assert "its-password" not in program.log.read_text()
    program.kill()

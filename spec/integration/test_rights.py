"""Least rights in Postgres, by the statements of docs/operate/rights.md, and the connections that a
process opens."""
import concurrent.futures
import json
import re
import subprocess
import uuid

import harness
import psycopg2
import pytest
import stack
from harness import log_lines, read_records, readers_held
from stack import ROOT, ROOTS, wait_until
from views import status_path

PAGE = ROOT / "docs/operate/rights.md"
DATABASE = "huleedu_result_aggregator"
ADMINISTRATOR, GRANTS, CREATE = range(3)  # the statements for Postgres, in the page's order


class Roles:
    """A database with the page's roles, under names of its own: roles belong to the whole cluster."""

    def __init__(self, cluster_url):
        self.cluster_url, self.mark = cluster_url, uuid.uuid4().hex[:12]
        section = PAGE.read_text().split("\n## Postgres\n")[1].split("\n### ")[0]
        self.blocks = re.findall(r"^( *)```sql\n(.*?)^\1```", section, re.DOTALL | re.MULTILINE)

    def url(self, role):
        server = self.cluster_url.rsplit("@", 1)[1].rsplit("/", 1)[0]
        return f"postgresql://{role}_{self.mark}@{server}/{DATABASE}_{self.mark}"

    def run(self, block, url):
        """Runs one of the page's blocks of statements with psql."""
        sql = re.sub(rf"\b({DATABASE}|aggregator(?:_owner|_reader)?)\b", rf"\1_{self.mark}",
                     self.blocks[block][1])
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", url], input=sql, text=True, check=True)


@pytest.fixture
def roles(postgres_url):
    """The roles as after steps 1 to 3 of the page, but without a `migrate`."""
    made = Roles(postgres_url)
    made.run(ADMINISTRATOR, postgres_url)
    return made


@pytest.fixture
def limited_service(roles, cleanup, build, tmp_path):
    """A service whose database has an owner, and whose programs have the role `aggregator`."""
    kafka = stack.EmbeddedKafka(tmp_path, build)
    cleanup.callback(kafka.stop)
    kafka.start()
    redis = stack.Redis(tmp_path)
    cleanup.callback(redis.stop)
    stack.Aggregator(tmp_path, build, roles.url("aggregator_owner"), "none", kafka.brokers,
                     ROOTS).command("migrate")
    roles.run(GRANTS, roles.url("aggregator_owner"))
    return harness.Service(tmp_path, build, kafka, roles.url("aggregator"), redis.start().url, cleanup)


def as_owner(service, roles):
    return service.prepare(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=roles.url("aggregator_owner"))


def test_the_documented_rights_are_enough_for_the_service_and_its_commands(limited_service, roles):
    service = limited_service
    assert service.prepare().command("check").returncode == 0
    program = service.start(OUTBOX_HORIZON_HOURS="876000")
    service.wait_ready(program)
    service.feed("current-hard")
    service.wait_committed(len(read_records("current-hard")))
    wait_until("published messages", lambda: service.query(
        "SELECT count(*) FROM aggregator_state.outbox WHERE state <> 'pending'")[0][0] > 0)
    batch_id = service.query("SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL LIMIT 1")[0][0]
    assert program.get(status_path(batch_id))[0] == 200
    for words in (["rejected", "list"], ["rejected", "retry", "--all", "--yes"],
                  ["rejected", "drop", "--all", "--yes"], ["outbox", "list"],
                  ["outbox", "retry", "--all", "--yes"], ["reload"],
                  ["replay", "--topic", "huleedu.els.essay.slot.assigned.v1", "--from-offset", "0"],
                  ["explain", "batch", batch_id]):
        failed = program.command(*words, check=False)
        assert "permission denied" not in failed.stderr, (words, failed.stderr)
    service.wait_ready(program)
    assert as_owner(service, roles).command("verify").returncode == 0
    refused = program.command("diff", check=False)
    assert refused.returncode != 0 and "permission denied" in refused.stderr
    assert "GRANT CREATE ON DATABASE (the docs, operate/rights.md)" in refused.stderr
    roles.run(CREATE, roles.url("aggregator_owner"))
    program.command("diff")
    assert "permission denied" not in program.log.read_text()


def test_the_reader_may_back_up(limited_service, roles, tmp_path):
    """docs/operate/backup.md, "Back up"."""
    done = subprocess.run(["pg_dump", "--format=custom", f"--file={tmp_path / 'aggregator.dump'}",
                           roles.url("aggregator_reader")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_of_the_owner_name_the_owners_url(limited_service, roles, tmp_path):
    url_file = tmp_path / "migrate_url"
    url_file.write_text(roles.url("aggregator_owner"))
    for words in (["migrate"], ["verify"], ["rebuild"]):
        refused = limited_service.prepare().command(*words, check=False)
        assert refused.returncode == 1, words
        assert "permission denied for" in refused.stderr
        assert "AGGREGATOR_POSTGRES_URL_FILE=/etc/aggregator/migrate_url" in refused.stderr
        given = limited_service.prepare(AGGREGATOR_POSTGRES_URL_FILE=str(url_file))
        assert "permission denied" not in given.command(*words, check=False).stderr, words


def test_the_running_role_changes_no_table_and_deletes_no_row_of_the_view(limited_service):
    for statement in ("DELETE FROM batch_results", "CREATE TABLE mine (id int)",
                      "CREATE TABLE aggregator_state.mine (id int)", "TRUNCATE essay_results",
                      "UPDATE schema_migrations SET name = 'x'", "DROP TABLE aggregator_state.outbox",
                      "DELETE FROM aggregator_state.schema_migrations", "CREATE SCHEMA mine"):
        with pytest.raises(psycopg2.Error) as refused:
            limited_service.query(statement)
        assert refused.value.pgcode == "42501", statement


def test_functions_of_the_owner_find_no_temporary_table(limited_service):
    """Its triggers would run with the rights of the owner."""
    paths = limited_service.query("SELECT oid::regproc::text, array_to_string(proconfig, ' ') FROM pg_proc "
                                  "WHERE prosecdef AND proconfig IS NOT NULL")
    definers = limited_service.query("SELECT count(*) FROM pg_proc WHERE prosecdef")[0][0]
    assert len(paths) == definers >= 8
    assert [function for function, path in paths if not re.search(r"search_path=.*, pg_temp$", path)] == []


def test_a_later_migration_needs_no_further_grant(limited_service, roles):
    with psycopg2.connect(roles.url("aggregator_owner")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE later (id int); CREATE TABLE aggregator_state.later (id int)")
    limited_service.query("INSERT INTO later VALUES (1); UPDATE later SET id = 2; "
                          "INSERT INTO aggregator_state.later VALUES (1); "
                          "DELETE FROM aggregator_state.later")
    with psycopg2.connect(roles.url("aggregator_reader")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM later")
        assert cursor.fetchall() == [(2,)]


def test_check_names_the_rights_that_a_process_that_ingests_lacks(limited_service, roles):
    url = roles.url("aggregator_reader")
    program = limited_service.prepare(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=url)
    refused = program.command("check", check=False)
    assert refused.returncode != 0
    assert "the role lacks INSERT on" in refused.stderr + refused.stdout
    assert "UPDATE on batch_results" in refused.stderr + refused.stdout
    assert "DELETE on" not in refused.stderr + refused.stdout, "no retention is declared"


def test_a_process_with_the_readers_role_answers_and_takes_no_partition(limited_service, roles):
    service = limited_service
    writer = service.start()
    service.wait_ready(writer)
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    writer.stop()
    batch_id = service.query("SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL LIMIT 1")[0][0]
    reader = service.start(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=roles.url("aggregator_reader"),
                           OUTBOX_ENABLED="false")
    wait_until("an answer", lambda: reader.get(status_path(batch_id))[0] == 200)
    assert reader.get("/readyz/read")[0] == 200
    wait_until("the reason", lambda: "the database is read-only" in json.dumps(
        json.loads(reader.get("/readyz")[1])))
    assert reader.get("/readyz")[0] == 503
    assert not log_lines(reader, "partitions assigned")
    reader.stop()
    answers = service.start(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=roles.url("aggregator_reader"),
                            INGEST_WORKERS="0")
    service.wait_ready(answers)
    assert json.loads(answers.get("/readyz")[1])["status"] == "healthy", "it needs no right to write"
    with psycopg2.connect(roles.url("aggregator_reader")) as connection:
        with pytest.raises(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            connection.commit()
            cursor.execute("UPDATE batch_results SET user_id = 'x'")


def connections(service):
    return dict(service.query("SELECT application_name, count(*) FROM pg_stat_activity WHERE usename = "
                              "current_user AND pid <> pg_backend_pid() GROUP BY 1"))


def test_a_process_opens_as_many_connections_as_the_formula_says(limited_service, slow_queries):
    service, workers, states = limited_service, 2, 8
    program = service.start(SQL_ROOT=str(slow_queries), INGEST_WORKERS=str(workers))
    service.wait_ready(program)
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    batches = [row[0] for row in service.query("SELECT batch_id FROM batch_results LIMIT 16")]
    with concurrent.futures.ThreadPoolExecutor(len(batches)) as threads:
        with readers_held(service.database_url):
            answers = [threads.submit(program.get, status_path(batch)) for batch in batches]
            seen = wait_until("all states to query", lambda: [
                now for now in [connections(service)] if now.get("aggregator scripts") == states])[0]
        assert {answer.result()[0] for answer in answers} <= {200, 404, 503}
    del seen[""]  # the holder's
    assert sum(seen.values()) == states + workers + 5, seen

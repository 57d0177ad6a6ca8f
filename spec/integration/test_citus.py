"""The service on Citus: a coordinator and two workers, with a process at each worker. Runs where the
extension is installed: tools/citus."""
import contextlib
import uuid

import citus
import harness
import psycopg2
import pytest
from harness import BESIDE, expectations, read_records
from stack import wait_until
from views import check_view

pytestmark = [pytest.mark.skipif(not citus.installed(), reason=citus.MISSING),
              pytest.mark.xdist_group("citus")]
SHARDS = 4
ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000"}  # the samples' facts are old


class Pair:
    """A service on Citus and one on a plain Postgres, on the same topics."""

    def __init__(self, cluster, make_service, cleanup):
        self.plain = make_service(cleanup)
        self.urls = cluster.create_database(f"ras_{uuid.uuid4().hex}")
        cluster.join(self.urls, SHARDS)
        self.spread = harness.Service(self.plain.folder / "citus", self.plain.build, self.plain.kafka,
                                      self.urls[0], self.plain.redis_url, cleanup)
        self.migrated = self.at(0).command("migrate")

    def at(self, node, **env):
        """A program whose database is that node: 0 is the coordinator."""
        program = self.spread.prepare(**ALL_HISTORY, REDIS_URL="none", **env)
        program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"] = self.urls[node]
        program.database_url = self.urls[node]
        return program

    def feed(self, streams):
        self.plain.start(**ALL_HISTORY, KAFKA_CONSUMER_GROUP_ID="plain", REDIS_URL="none")
        self.programs = [self.at(1).start(), self.at(2).start()]
        total = 0
        for stream in streams:
            self.plain.feed(stream)
            total += len(read_records(stream))
            for service in (self.plain, self.spread):
                service.wait_committed(total)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with contextlib.ExitStack() as cleanup:
        yield citus.Cluster(tmp_path_factory.mktemp("citus"), cleanup)


@pytest.fixture(scope="session")
def fed_pair(cluster, make_service):
    """Has taken sample streams without a batch in common. Only to be read."""
    with contextlib.ExitStack() as cleanup:
        pair = Pair(cluster, make_service, cleanup)
        pair.feed(BESIDE)
        yield pair


def users():
    return sorted({batch["user_id"] for stream in BESIDE for batch in expectations(stream).values()})


def body_of(program, path):
    status, body, _ = program.get(path)
    return status, body


@pytest.mark.parametrize("stream", BESIDE)
def test_every_node_gives_the_samples_responses(fed_pair, stream):
    for program in fed_pair.programs:
        check_view(program, stream)


def test_responses_are_those_of_plain_postgres_to_the_byte(fed_pair):
    paths = [f"/internal/v1/batches/{batch}/status" for stream in BESIDE
             for batch in (*expectations(stream), "unknown")]
    paths += [f"/internal/v1/batches/user/{user}?limit=2{more}" for user in users()
              for more in ("", "&offset=1", "&status=completed_successfully", "&status=processing")]
    wanted = [body_of(fed_pair.plain.program, path) for path in paths]
    for program in fed_pair.programs:
        assert [body_of(program, path) for path in paths] == wanted


MESSAGES = ("SELECT identity, topic, key, value, state FROM aggregator_state.outbox "
            "ORDER BY identity COLLATE \"C\"")


def test_messages_are_those_of_plain_postgres(fed_pair):
    def messages(service):
        return [(*row[:3], bytes(row[3]), row[4]) for row in service.query(MESSAGES)]

    def settled(service):
        return service.query("SELECT (SELECT count(*) FROM aggregator_state.reaction_marks), (SELECT "
                             "count(*) FROM aggregator_state.outbox WHERE state = 'pending')") == [(0, 0)]

    for service in (fed_pair.plain, fed_pair.spread):
        wait_until("the outbox is sent", lambda: settled(service))
    assert messages(fed_pair.spread) == messages(fed_pair.plain) != []


def test_messages_leave_in_the_order_of_their_facts(fed_pair):
    """Their ids have the order of their rows, whichever node stored them."""
    rows = fed_pair.spread.query("SELECT created_at FROM aggregator_state.outbox ORDER BY id")
    assert rows == sorted(rows)


def test_every_event_is_counted_once(fed_pair):
    counts = ("SELECT sum(applied), sum(superseded), sum(ignored), sum(duplicate), sum(rejected) "
              "FROM aggregator_state.consumer_offsets")
    wanted = fed_pair.plain.query(counts)
    assert [sum(row) for row in fed_pair.spread.query(counts)] == [sum(row) for row in wanted]


def epochs(urls):
    """What each node names the database."""
    def epoch(url):
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM aggregator_state.epoch()")
            return str(cursor.fetchall())
    return [epoch(url) for url in urls]


def test_every_node_names_the_database_alike(fed_pair):
    assert len(set(epochs(fed_pair.urls))) == 1


def test_functions_of_a_release_leave_the_database_its_name(fed_pair, tmp_path):
    """Also between them and the distribution, which needs the scripts."""
    before = epochs(fed_pair.urls)
    fed_pair.spread.query("UPDATE aggregator_state.unnumbered_files SET checksum = 'of an older release' "
                          "WHERE name = 'aggregator_state/functions.sql' RETURNING name")
    failed = fed_pair.at(0, SCRIPTS_ROOT=str(tmp_path)).command("migrate", check=False)
    assert "the migrations are applied, and no table is distributed" in failed.stdout + failed.stderr
    assert epochs(fed_pair.urls) == before


def test_migrate_distributes_once(fed_pair):
    assert "essay_results" in fed_pair.migrated.stdout + fed_pair.migrated.stderr
    again = fed_pair.at(0).command("migrate")
    assert "0 migrations applied\nCitus: 0 objects distributed\n" in again.stdout


def test_migrate_at_a_worker_names_the_coordinator(fed_pair):
    refused = fed_pair.at(1).command("migrate", check=False)
    assert refused.returncode == 1
    assert "this server is a worker of Citus" in refused.stdout + refused.stderr


@pytest.mark.parametrize("node", [0, 1])
def test_check_is_content_at_every_node(fed_pair, node):
    checked = fed_pair.at(node).command("check", check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_database_with_rows_gets_citus(cluster, make_service, cleanup):
    """Its rows move to the shards, each node answers as before, and ingestion goes on."""
    pair = Pair.__new__(Pair)
    pair.plain = make_service(cleanup, redis="none")
    pair.urls = cluster.create_database(f"grown_{uuid.uuid4().hex}")
    pair.spread = harness.Service(pair.plain.folder / "grown", pair.plain.build, pair.plain.kafka,
                                  pair.urls[0], "none", cleanup)
    assert "Citus" not in pair.at(0).command("migrate").stdout
    before = pair.at(0).start()
    pair.spread.feed("current")
    check_view(before, "current")
    before.stop()
    cluster.join(pair.urls, SHARDS)
    assert "Citus" in pair.at(0).command("migrate").stdout
    after = pair.at(2).start()
    check_view(after, "current")
    pair.spread.feed("second-run")
    check_view(after, "second-run")

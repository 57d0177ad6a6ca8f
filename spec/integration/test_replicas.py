"""Reads from a real standby: never older than what was announced, also while its replay is paused, after it
ended, and after its promotion. Longer, under faults: tools/crashtest, whose programs read from both servers."""
import contextlib
import json
import shutil
import subprocess

import pytest
import stack
from harness import log_lines, read_records
from stack import ROOT, wait_until
from test_cache import ESSAY, names, register, rename
from views import check_view, status_path

pytestmark = pytest.mark.xdist_group("replicas")

SETTINGS = ("fsync=off", "max_connections=200", "wal_retrieve_retry_interval=100ms",
            "wal_keep_size=256MB")
# A note is written by POST, and read or, by mistake, written by GET.
NOTES = {
    "routes/write_note": 'method = "POST", path = "/notes/{text}", auth = false, QUERY = "add_note"',
    "routes/read_notes": 'path = "/notes", auth = false, QUERY = "notes"',
    "routes/wrong_note": 'path = "/wrong/{text}", auth = false, QUERY = "add_note"',
    "routes/right_note": 'path = "/right/{text}", auth = false, writes = true, QUERY = "add_note"',
}
ROUTE = """
local pg = require("pg")
return { %s, handle = function(%s)
  local rows, failure = pg.query("%s", { %s })
  if not rows then return { unavailable = failure } end
  return { status = 200, body = rows[1] and rows[1].body or "[]" }
end }
"""
QUERIES = {"add_note": "INSERT INTO notes VALUES (:text) RETURNING '[]' AS body",
           "notes": "SELECT json_agg(text)::text AS body FROM notes"}


def write_scripts(folder):
    for part in ("scripts", "sql"):
        shutil.copytree(ROOT / part, folder / part)
    for name, query in QUERIES.items():
        (folder / f"sql/queries/{name}.sql").write_text(query)
    for name, keys in NOTES.items():
        declared, query = keys.rsplit(", QUERY = ", 1)
        parameter = "text = request.params.text" if "{text}" in declared else ""
        (folder / f"scripts/{name}.lua").write_text(ROUTE % (
            declared, "request" if parameter else "", query.strip('"'), parameter))
    return {"SCRIPTS_ROOT": str(folder / "scripts"), "SQL_ROOT": str(folder / "sql")}


class Replicated:
    """A service whose database has a standby. Its programs find the primary by both hosts, and read from
    the standby, or from both."""

    def __init__(self, make_service, cleanup, folder, settings=()):
        self.primary = self.add(cleanup, stack.Postgres(folder / "primary", SETTINGS + settings))
        self.service = make_service(cleanup, postgres_url=self.primary.url())
        self.standby = self.add(cleanup, stack.Standby(folder / "standby", self.primary))
        self.database = self.service.database_url.rsplit("/", 1)[1]

    @staticmethod
    def add(cleanup, server):
        cleanup.callback(server.remove)
        cleanup.callback(server.kill)
        return server.start()

    def start(self, both=False, **env):
        """A program; both: the primary's server is one of those for reads."""
        servers = [self.standby, *([self.primary] if both else [])]
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return self.service.start(**{
            "RESULT_AGGREGATOR_SERVICE_DATABASE_URL": f"postgresql://ras@{hosts}/{self.database}",
            "AGGREGATOR_POSTGRES_READ_URLS": ",".join(
                server.url(self.database) for server in servers), **env})

    def reads(self, program, result, server=None):
        name = server if isinstance(server, str) else f"127.0.0.1:{(server or self.standby).port}"
        return program.sum_cells(
            rf'ras_db_reads_total{{server="{name}",result="{result}"}}')

    def wait_reads(self, program):
        """Until a request is answered by the standby."""
        before = self.reads(program, "answered")

        def is_read():
            program.get(status_path(f"nowhere-{self.reads(program, 'answered')}"))
            return self.reads(program, "answered") > before
        wait_until("a read from the standby", is_read)

    @contextlib.contextmanager
    def paused(self):
        """The standby receives, and replays nothing."""
        self.standby.run("SELECT pg_wal_replay_pause()")
        wait_until("the pause", lambda: self.ask_standby(
            "SELECT pg_get_wal_replay_pause_state()") == "paused")
        yield
        self.standby.run("SELECT pg_wal_replay_resume()")

    def ask_standby(self, sql):
        return self.psql(self.standby, sql)

    def psql(self, server, sql):
        return subprocess.run(["psql", "-qXAt", server.url(self.database), "-c", sql],
                                    check=True, capture_output=True, text=True).stdout.strip()

    def replica_of(self, program):
        """What `status` says of the standby."""
        return [one for one in program.ask("status")["reads"]
                if one["server"] == f"127.0.0.1:{self.standby.port}"][0]


@pytest.fixture(scope="module")
def world(make_service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    with contextlib.ExitStack() as cleanup:
        made = Replicated(make_service, cleanup, folder)
        made.service.query("CREATE TABLE notes (text text)")
        made.scripts = write_scripts(folder / "service")
        made.program = made.start(**made.scripts)
        made.other = made.start(INGEST_WORKERS="0", **made.scripts)
        register(made.service)
        for program in made.service.programs:
            made.service.wait_ready(program)
            made.wait_reads(program)
        rename(made.service, "0.txt", 0)
        yield made


def test_no_answer_is_older_than_what_was_announced(world):
    behind = world.reads(world.program, "behind")
    with world.paused():
        for number in range(1, 6):
            rename(world.service, f"{number}.txt", number)
            assert names(world.program) == [f"{number}.txt"], "its own commit"
            wait_until("the announcement", lambda: names(world.other) == [f"{number}.txt"])
            for program in (world.program, world.other) * 3:
                assert names(program) == [f"{number}.txt"]
        assert world.ask_standby("SELECT filename FROM essay_results") != "5.txt"
        assert world.reads(world.program, "behind") > behind
        assert world.reads(world.program, "answered", "primary") > 0
    for program in (world.program, world.other):
        world.wait_reads(program)
        assert names(program) == ["5.txt"]


def test_a_paused_replica_shows_in_the_status_and_is_left_out(world):
    with world.paused():
        rename(world.service, "paused.txt", 10)
        wait_until("that it is behind", lambda: world.replica_of(world.other)["state"] == "behind")
        assert world.replica_of(world.other)["behind_bytes"] > 0
        assert world.other.sum_cells("ras_db_replica_used") == 0
        assert "behind" in world.other.command("status").stdout
    wait_until("that it is used", lambda: world.replica_of(world.other)["state"] == "used")
    world.wait_reads(world.other)


def test_a_replica_that_ends_fails_no_request(world):
    world.standby.kill()
    for number in range(30):
        assert world.other.get(status_path(f"gone-{number}"))[0] == 404
    assert world.replica_of(world.other)["state"] == "away"
    assert log_lines(world.other, "a replica is away: its reads go to the other servers")
    world.standby.start()
    world.wait_reads(world.other)
    assert world.replica_of(world.other)["state"] == "used"


def test_a_closed_connection_of_a_replica_fails_no_request(world):
    world.wait_reads(world.other)
    failed = world.reads(world.other, "failed")
    world.ask_standby("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                      "WHERE application_name = 'aggregator scripts'")
    assert world.other.get(status_path("closed"))[0] == 404
    assert world.reads(world.other, "failed") == failed


def test_reads_go_through_a_pooler_before_the_standby(world):
    pooler = stack.PgBouncer(world.service.folder / "pooler", world.standby, pool_size=2)
    world.service.cleanup.callback(pooler.kill)
    program = world.start(AGGREGATOR_POSTGRES_READ_URLS=pooler.start().url(world.database),
                          INGEST_WORKERS="0", **world.scripts)

    def answered():
        return world.reads(program, "answered", f"127.0.0.1:{pooler.port}")

    wait_until("a read through the pooler", lambda: program.get(
        status_path(f"pooled-{answered()}"))[0] == 404 and answered() > 0)
    with world.paused():
        rename(world.service, "pooled.txt", 20)
        wait_until("the announcement", lambda: names(program) == ["pooled.txt"])
        assert names(program) == ["pooled.txt"]


def test_routes_that_write_go_to_the_primary_and_later_reads_see_what_they_wrote(world):
    program = world.other
    answered = world.reads(program, "answered")
    assert program.get("/internal/v1/batches/user/teacher")[0] == 200, "it keeps what it derives"
    assert program.get("/right/zero")[0] == 200
    with world.paused():
        for text in ("one", "two"):
            assert program.get(f"/notes/{text}", method="POST")[0] == 200
            assert text in json.loads(program.get("/notes")[1])
        assert world.reads(program, "answered") == answered


def test_a_route_that_writes_to_a_replica_is_told_what_to_declare(world):
    world.wait_reads(world.other)
    assert world.other.get("/wrong/word")[0] in (500, 503)
    assert any("declare `writes = true` in the route" in json.dumps(line)
               for line in log_lines(world.other))


def test_a_wrong_url_of_a_replica_is_refused(bare_service):
    program = bare_service.prepare(AGGREGATOR_POSTGRES_READ_URLS="postgresql://u:s3cr/t@h/d")
    refused = program.command("config", check=False)
    assert refused.returncode != 0 and "postgres.read_urls" in refused.stderr
    assert "s3cr" not in refused.stderr


# ---- promotion ------------------------------------------------------------------------------

TOTAL = len(read_records("current"))


def promote(pair):
    """The primary ends for good, and the standby takes over."""
    pair.primary.kill()
    pair.standby.promote()
    pair.service.database_url = pair.standby.url(pair.database)


def counted(pair):
    return int(pair.service.query(
        "SELECT coalesce(sum(applied + superseded + ignored + duplicate + rejected), 0) "
        "FROM aggregator_state.consumer_offsets")[0][0])


def test_events_that_a_promotion_lost_are_consumed_again(make_service, cleanup, tmp_path):
    """The standby lacks the last commits. A process that only answers has cached what they wrote: it drops
    that, since the database of now does not have it, and answers it again after the events came again."""
    pair = Replicated(make_service, cleanup, tmp_path)
    ingests = pair.start(both=True)
    answers = pair.start(both=True, INGEST_WORKERS="0")
    for program in (ingests, answers):
        pair.service.wait_ready(program)
    register(pair.service)
    rename(pair.service, "kept.txt", 1)
    wait_until("the standby", lambda: pair.ask_standby(
        f"SELECT filename FROM essay_results WHERE essay_id = '{ESSAY}'") == "kept.txt")
    # The standby stops receiving; what follows is lost.
    pair.standby.run("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    wait_until("the end of streaming", lambda: pair.psql(
        pair.primary, "SELECT count(*) FROM pg_stat_replication") == "0")
    rename(pair.service, "lost.txt", 2)
    pair.service.feed("current")
    wait_until("all events", lambda: counted(pair) >= TOTAL + 2)
    wait_until("the response", lambda: names(answers) == ["lost.txt"])
    assert ingests.stop() == 0
    promote(pair)
    wait_until("that the lost state is dropped", lambda: names(answers) == ["kept.txt"], 20)
    assert counted(pair) < TOTAL + 2
    assert answers.sum_cells('ras_cache_drops_total{reason="database_changed"}') == 1
    again = pair.start(both=True)
    wait_until("all events again", lambda: counted(pair) == TOTAL + 2)
    wait_until("the response again", lambda: names(answers) == ["lost.txt"])
    check_view(answers, "current")
    assert [program.stop() for program in (again, answers)] == [0, 0]
    assert counted(pair) == TOTAL + 2, "each event once"


def test_a_promotion_with_remote_apply_loses_and_doubles_nothing(make_service, cleanup, tmp_path):
    pair = Replicated(make_service, cleanup, tmp_path, ("synchronous_commit=remote_apply",))
    pair.primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
    program = pair.start(both=True)
    pair.service.wait_ready(program)
    wait_until("a synchronous standby", lambda: pair.psql(
        pair.primary, "SELECT sync_state FROM pg_stat_replication") == "sync")
    feeder = pair.service.feed("current", 60, wait=False)
    wait_until("some events", lambda: counted(pair) > 20)
    before = counted(pair)
    promote(pair)
    wait_until("the standby", lambda: pair.psql(
        pair.standby, "SELECT pg_is_in_recovery()") == "f", 10)
    assert counted(pair) >= before, "what was acknowledged is there"
    assert feeder.wait() == 0
    wait_until("all events", lambda: counted(pair) == TOTAL, 30)
    check_view(program, "current")
    verified = program.command("verify", check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert program.stop() == 0

"""Commits on Citus that a node does not show yet, or whose process or node dies."""
import harness
import psycopg2
from citus_pair import MARKS, Pair, query
from harness import log_lines, read_records
from stack import wait_until
from test_cache import ANNOUNCED, OTHER, killed_between_commit_and_announcement, service_redis
from views import check_view

pytestmark = MARKS


# ---- a commit that is visible on one node and not yet on another -------------------------------------

PLACE = """SELECT shard.nodename, shard.nodeport, shard.shard_name
FROM citus_shards shard WHERE shard.shardid = get_shard_id_for_distribution_column('phase_outcomes', '{key}')"""


class HalfCommit:
    """Takes a batch's outcomes away, and brings them back in a transaction that a node has prepared: its
    name is that of a node which the cluster does not have, so that Citus leaves it alone."""

    NAME = "citus_99_1_1_0"

    def __init__(self, pair, cleanup, batch):
        host, port, shard = query(pair.urls[0], PLACE.format(key=batch))[0]
        self.connection = psycopg2.connect(pair.urls[0], host=host, port=port)
        cleanup.callback(self.connection.close)
        self.connection.autocommit = True
        where = f"FROM {shard} WHERE batch_id = '{batch}'"
        self.run(f"SET citus.enable_manual_changes_to_shards = on; CREATE TABLE kept AS SELECT * {where}",
                 f"DELETE {where}", "BEGIN", f"INSERT INTO {shard} SELECT * FROM kept",
                 f"PREPARE TRANSACTION '{self.NAME}'")

    def end(self):
        self.run(f"COMMIT PREPARED '{self.NAME}'", "DROP TABLE kept")

    def run(self, *statements):
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


WAITING = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%aggregator_state.await_commits%' " \
    "AND pid <> pg_backend_pid()"


def test_a_reaction_waits_for_the_rows_that_were_committed_with_its_mark(cluster, make_service, cleanup):
    pair = Pair(cluster, make_service, cleanup)
    pair.feed(["current"])
    service, program = pair.spread, pair.programs[0]
    reaction = "reactions/results_ready"
    stored = "SELECT about, identity FROM aggregator_state.outbox WHERE source = %s ORDER BY 1, 2"
    marks = "SELECT count(*) FROM aggregator_state.reaction_marks"
    wait_until("the reactions", lambda: service.query(marks) == [(0,)])
    messages = service.query(stored, reaction)
    batch = messages[0][0]
    pair.programs[1].stop()
    commit = HalfCommit(pair, cleanup, batch)
    service.query("DELETE FROM aggregator_state.outbox WHERE source = %s", reaction)
    service.query("INSERT INTO aggregator_state.reaction_marks (reaction, key) VALUES (%s, %s)", reaction, batch)
    wait_until("that the reaction waits", lambda: query(pair.urls[1], WAITING))
    assert service.query(marks) == [(1,)] and service.query(stored, reaction) == []
    commit.end()
    wait_until("the messages", lambda: service.query(stored, reaction) == [
        message for message in messages if message[0] == batch])
    wait_until("the mark", lambda: service.query(marks) == [(0,)])
    assert program.metric("ras_reaction_failures_total") == 0


# ---- a process or a node is away -----------------------------------------------------------------------------

class InTurn(harness.Service):
    """Whose programs are at the nodes of `urls` in turn."""

    urls = ()

    def prepare(self, config=None, **env):
        url = self.urls[len(self.programs) % len(self.urls)]
        program = super().prepare(config, **env)
        program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"] = program.database_url = url
        return program


def test_a_commit_whose_process_dies_before_it_is_announced_is_announced_at_another_node(
        cluster, make_service, faulty_build, cleanup):
    """And nothing else is dropped."""
    pair = Pair(cluster, make_service, cleanup)
    service = InTurn(pair.plain.folder / "in-turn", pair.plain.build, pair.plain.kafka, pair.urls[0],
                     pair.plain.redis_url, cleanup)
    service.urls = pair.urls[1:]
    reader, dropped_all = killed_between_commit_and_announcement(service, faulty_build)
    assert not dropped_all and service_redis(service).exists(f"api:batch:{OTHER}")
    assert len(log_lines(reader, ANNOUNCED)) == 1
    assert reader.metric('ras_cache_drops_total{reason="unannounced"}') == 0


def test_a_node_that_died_and_came_back_has_all_events(cluster, make_service, cleanup):
    """Of two processes, one at the node and one at the other, while events come."""
    pair = Pair(cluster, make_service, cleanup)
    pair.feed(["current"])
    process = pair.spread.feed("first", rate=20, wait=False)
    more = pair.spread.committed_events() + 3
    pair.spread.wait_committed(more)
    cluster.nodes[2].kill()
    wait_until("that the outage shows", lambda: pair.programs[1].get("/readyz")[0] == 503)
    process.wait()
    cluster.nodes[2].start()
    pair.spread.wait_committed(len(read_records("current")) + len(read_records("first")))
    for program in pair.programs:
        check_view(program, "current")
        check_view(program, "first")

"""citus: a cluster of Citus on loopback: a coordinator, and workers, each a Postgres of its own."""
import pathlib
import subprocess

import stack

EXTENSION = pathlib.Path("/usr/share/postgresql/15/extension/citus.control")
MISSING = ("Citus is not installed, and no package of Debian: tools/citus says how to build it")
SETTINGS = ("shared_preload_libraries=citus", "max_connections=300", "max_prepared_transactions=300",
            "citus.node_conninfo=sslmode=disable", "citus.enable_statistics_collection=off")
# Tests count statements, and must not wait a minute for a transaction that a killed node left prepared: a
# worker process of each database ends it, for which the default of 8 processes has no room.
TEST_SETTINGS = (*SETTINGS, "shared_preload_libraries=citus,pg_stat_statements", "pg_stat_statements.track=all",
                 "fsync=off", "citus.recover_2pc_interval=2s", "max_worker_processes=64")


def installed():
    return EXTENSION.exists()


class Cluster:
    """nodes[0] is the coordinator, which has no shards; `cleanup`, an ExitStack, ends all."""

    def __init__(self, folder, cleanup, workers=2, settings=TEST_SETTINGS):
        self.nodes = []
        for number in range(workers + 1):
            node = stack.Postgres(pathlib.Path(folder) / f"node{number}", settings)
            cleanup.callback(node.remove)
            cleanup.callback(node.stop)
            self.nodes.append(node.start())

    def create_database(self, name):
        """An empty database on each node; its URLs in the order of the nodes."""
        return [node.create_database(name) for node in self.nodes]

    def join(self, urls, shards):
        """Makes one cluster of these databases. shards: of each table that is distributed later."""
        for url in urls:
            execute(url, "CREATE EXTENSION citus", "CREATE EXTENSION pg_stat_statements")
        name = urls[0].rsplit("/", 1)[1]
        execute(urls[0], f"SELECT citus_set_coordinator_host('127.0.0.1', {self.nodes[0].port})",
                *(f"SELECT citus_add_node('127.0.0.1', {node.port})" for node in self.nodes[1:]),
                f"ALTER DATABASE {name} SET citus.shard_count = {shards}",
                f"ALTER DATABASE {name} SET citus.max_adaptive_executor_pool_size = 1")
        return urls


def execute(url, *statements):
    """Each in a transaction of its own."""
    subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", url,
                          *(word for statement in statements for word in ("-c", statement))],
                         check=True, stdout=subprocess.DEVNULL)

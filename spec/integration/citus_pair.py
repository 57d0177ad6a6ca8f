"""A service on Citus beside one on a plain Postgres."""
import contextlib
import uuid

import citus
import harness
import psycopg2
import pytest
from harness import read_records

# One cluster for all tests.
MARKS = [pytest.mark.skipif(not citus.installed(), reason=citus.MISSING), pytest.mark.xdist_group("citus")]
SHARDS = 4
ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000"}  # the samples' facts are old


def query(url, sql):
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


class Pair:
    """A service on Citus and one on a plain Postgres, on the same topics."""

    def __init__(self, cluster, make_service, cleanup):
        self.plain = make_service(cleanup)
        self.urls = cluster.create_database(f"ras_{uuid.uuid4().hex}")
        cluster.join(self.urls, SHARDS)
        self.spread = harness.Service(self.plain.folder / "citus", self.plain.build, self.plain.kafka,
                                      self.urls[0], self.plain.redis_url, cleanup)
        self.migrated = self.at(0).command("migrate")

    def at(self, node, config=None, **env):
        """A program whose database is that node: 0 is the coordinator."""
        program = self.spread.prepare(config, **ALL_HISTORY, REDIS_URL="none", **env)
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

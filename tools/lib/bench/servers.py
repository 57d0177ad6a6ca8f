"""What every bench stands on: a real Kafka, a Postgres and, where it is wanted, a Redis."""
import contextlib
import itertools

import apache_kafka
import psycopg2
import spell_results
import stack
from crashtest import verify

CHUNK_EVENTS = 200000  # of one file: what the disk and the producer's memory hold at once


class Servers:
    """`cleanup` (an ExitStack) ends them. The program is that of `options.tree`; what loads it is
    that of `options.build`."""

    def __init__(self, options, folder, cleanup, redis, partitions=3, postgres_settings=(),
                 kafka_properties=None):
        self.build, self.folder, self.cleanup = options.build, folder, cleanup
        self.tree = options.tree
        self.postgres = stack.Postgres(folder / "postgres", postgres_settings)
        cleanup.callback(self.postgres.remove)
        self.kafka = apache_kafka.ApacheKafka(folder / "kafka", partitions=partitions,
                                       properties=kafka_properties)
        self.redis = stack.Redis(folder / "redis") if redis else None
        for server in filter(None, (self.postgres, self.kafka, self.redis)):
            cleanup.callback(server.stop)
            server.start()
        self.kafka.create_topics(self.build)

    def program(self, name, env, *edits):
        """The program with an empty database of that name, not started; and the database's URL.
        `edits` of config.lua: (what stands there, what shall stand there)."""
        url = self.postgres.create_database(name)
        program = self.process(name, url, env, *edits)
        program.command("migrate")
        return program, url

    def process(self, name, url, env, *edits):
        """A process of it on a database that is there."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = stack.edited_config(folder / "config.lua", *edits) if edits else None
        program = stack.Aggregator(folder, program_build(self), url,
                                   self.redis.url if self.redis else "none", self.kafka.brokers,
                                   stack.roots(self.tree) | env, config)
        program.tree = self.tree
        self.cleanup.callback(program.stop)
        return program

    def restart_postgres(self, settings):
        self.postgres.stop()
        self.postgres.settings = tuple(settings)
        self.postgres.start()

    def feed(self, stream):
        stack.feed(self.build, self.kafka.brokers, stream)

    def feed_results(self, changes):
        """As many spell checks as there are changes; they need not be there all at once."""
        path, changes = self.folder / "results.jsonl", iter(changes)
        while chunk := list(itertools.islice(changes, CHUNK_EVENTS)):
            spell_results.write(path, chunk)
            self.feed(path)
        path.unlink(missing_ok=True)


def program_build(options):
    """The build folder of the program that is measured."""
    return options.build if options.tree == stack.ROOT else options.tree / "build"


# An earlier release has these tables in the schema public.
SEARCH_PATH = "-c search_path=aggregator_state,public"
COMMITTED = "SELECT coalesce(sum(next_offset) FILTER (WHERE next_offset > 0), 0) " \
    "FROM consumer_offsets"
REJECTED = "SELECT coalesce(sum(rejected), 0) FROM consumer_offsets"
REASON = "SELECT topic, reason, detail FROM rejected_events LIMIT 1"


def committed(url):
    """How many events' offsets are."""
    return int(verify.query(url, COMMITTED, options=SEARCH_PATH)[0][0])


@contextlib.contextmanager
def committing(url):
    """committed() over one connection: to open one costs Postgres more than a hundred events do. A
    rejected event is an error: what is not stored is stored fast."""
    with contextlib.closing(psycopg2.connect(url, options=SEARCH_PATH)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            def ask():
                cursor.execute(f"SELECT ({COMMITTED}), ({REJECTED})")
                events, rejected = map(int, cursor.fetchone())
                if rejected:
                    cursor.execute(REASON)
                    raise AssertionError(f"{rejected} events were rejected, as {cursor.fetchone()}")
                return events

            yield ask

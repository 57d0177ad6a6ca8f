"""A place to measure in: private servers, one program, and what each has used."""
import contextlib
import dataclasses
import itertools
import pathlib
import signal
import time

import apache_kafka
import psycopg2
import redis
import stack
from bench.queries import Queries, finish
from bench.servers import COMMITTED, SEARCH_PATH, committed
from crashtest import verify

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'aggregator ingest'"
TICKS = 100  # of /proc, a second
LIMIT_S = 600
WAITING = "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks) " \
    "+ (SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')"
SIZES = """
    SELECT coalesce(sum(pg_table_size(c.oid)) FILTER (WHERE n.nspname = 'public'), 0),
           coalesce(sum(pg_indexes_size(c.oid)) FILTER (WHERE n.nspname = 'public'), 0),
           coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname = 'outbox'), 0),
           coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE n.nspname = 'public'), 0)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname IN ('public', 'aggregator_state')"""


def cpu_us(process):
    """Of it and its children, those that have ended too."""
    ticks = 0
    for pid in process.pids():
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += sum(map(int, fields[11:15] if pid == process.process.pid else fields[11:13]))
    return ticks / TICKS * 1e6


def delayed_us(threads):
    """How long they have waited for a processor: sched-stats.rst of the kernel."""
    found = 0
    for thread in threads:
        with contextlib.suppress(OSError):
            found += int((thread / "schedstat").read_text().split()[1])
    return found / 1e3


def threads_of(process, name):
    """The folders of a process' threads whose names begin so."""
    found = []
    for thread in pathlib.Path(f"/proc/{process.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if (thread / "comm").read_text().startswith(name):
                found.append(thread)
    return found


def memory_mb(process, key):
    """VmRSS, or VmHWM: the most ever."""
    for line in pathlib.Path(f"/proc/{process.process.pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0


@dataclasses.dataclass(frozen=True)
class Used:
    """Since the servers started; the difference of two is of the time between."""

    seconds: float
    events: float
    own_us: float
    postgres_us: float
    redis_us: float
    delayed_us: float  # of the threads that work for a transaction one after the other
    wal_bytes: float
    kafka_bytes: float
    redis_bytes: float
    transactions: float
    hits: float
    misses: float

    def since(self, before):
        return Used(**{field.name: getattr(self, field.name) - getattr(before, field.name)
                       for field in dataclasses.fields(Used)})


class Place:
    """`cleanup` (an ExitStack) ends all of it."""

    def __init__(self, service, build, folder, cleanup):
        folder.mkdir(parents=True, exist_ok=True)
        self.service, self.build, self.folder, self.cleanup = service, build, folder, cleanup
        self.postgres = stack.Postgres(folder / "postgres")
        cleanup.callback(self.postgres.remove)
        self.kafka = apache_kafka.ApacheKafka(folder / "kafka", names=service.topics)
        self.redis = stack.Redis(folder / "redis")
        for server in (self.postgres, self.kafka, self.redis):
            cleanup.callback(server.stop)
            server.start()
        self.kafka.create_topics(build)
        self.url = self.postgres.create_database("capacity")
        self.session = psycopg2.connect(self.url, options=SEARCH_PATH)
        self.session.autocommit = True
        cleanup.callback(self.session.close)
        self.client = redis.Redis(port=self.redis.port)
        self.fed = 0
        self.program = None

    def start(self, name, env=None):
        """In place of the program before, on the same database; ready at the end."""
        if self.program:
            self.program.stop()
        self.program = self.service.program(self, name, self.url, env or {})
        self.cleanup.callback(self.program.stop)
        self.program.command("migrate")
        self.program.start()
        stack.wait_until("readiness", lambda: self.program.get("/readyz")[0] == 200)
        return self

    def write(self, lines, count):
        """A file of so many next records."""
        path = self.folder / "records.jsonl"
        with open(path, "wb") as out:
            taken = list(itertools.islice(lines, count))
            out.writelines(taken)
        if len(taken) < count:
            raise AssertionError(f"{count - len(taken):,} more records are needed")
        return path

    def number(self, sql):
        """Over one connection: to open one for each look would be part of Postgres' CPU."""
        with self.session.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.fetchone()[0])

    def feed_at_once(self, path, count):
        """While the program stands still, so that the whole is a backlog."""
        self.program.send(signal.SIGSTOP)
        try:
            stack.feed(self.build, self.kafka.brokers, path)
        finally:
            self.program.send(signal.SIGCONT)
        self.settle(count)

    def feed_slowly(self, path, count, rate):
        stack.feed(self.build, self.kafka.brokers, path, rate)
        self.settle(count)

    def settle(self, count):
        """Waits until all is committed and published, with so many more events."""
        self.fed += count
        stack.wait_until("the commits", lambda: self.number(COMMITTED) >= self.fed, LIMIT_S)
        stack.wait_until("the messages", lambda: self.number(WAITING) == 0, LIMIT_S)

    def queries(self):
        """Of the service's paths, whose responses are alike."""
        paths = self.service.paths(self.url)
        _, body, _ = self.program.get(paths[0])
        return Queries(self.build, self.folder, paths, [body[-1:].decode()],
                       self.service.headers), len(body)

    def ask(self, queries, seconds, rate=0):
        return finish(queries.start(self.program.port, seconds, rate))

    def kafka_bytes(self):
        """Of the topics that the program reads, without indexes and reserved space."""
        return sum(segment.stat().st_size for topic in self.service.topics
                   for folder in (self.kafka.folder / "kafka-data").glob(f"{topic}-*")
                   for segment in folder.glob("*.log"))

    def turning(self):
        """The threads that work for a transaction one after the other."""
        backends = [pathlib.Path(f"/proc/{pid}") for pid, in verify.query(self.url, BACKENDS)]
        return [*threads_of(self.program, "ingest"), *backends, *threads_of(self.redis, "redis")]

    def used(self):
        wal = verify.query(self.url, "SELECT pg_current_wal_lsn() - '0/0'")[0][0]
        metric = self.program.metric
        return Used(time.monotonic(), committed(self.url), cpu_us(self.program),
                    cpu_us(self.postgres), cpu_us(self.redis),
                    delayed_us(self.turning()), float(wal), self.kafka_bytes(),
                    self.client.info("memory")["used_memory"],
                    metric("ras_db_transaction_duration_seconds_count"),
                    metric("ras_cache_hits_total"), metric("ras_cache_misses_total"))

    def sizes(self):
        """(bytes of tables, of their indexes, of the outbox, rows)"""
        verify.query(self.url, "ANALYZE")
        return tuple(map(float, verify.query(self.url, SIZES)[0]))

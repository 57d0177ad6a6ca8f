"""Rates and CPU behind a PgBouncer, beside those without one.

For each number of processes, and each way to Postgres, drains a backlog of spell checks, then asks
for the status of batches without caches over 16 connections to each process. Ways: direct; a pool by
session, with prepared statements; pools by transaction with so many connections to Postgres, which
keep prepared statements where PgBouncer is 1.21 or later, and once without them. PGBOUNCER names
another program than Debian's. Exits with 1 where a query fails."""
import typing

import stack
from crashtest import verify

from . import drain, scale, stream, streams
from .queries import Queries, finish
from .report import Report
from .servers import Servers

PROCESSES, POOLS = (1, 2, 4), (2, 4, 8, 16)
QUICK_PROCESSES, QUICK_POOLS = (1, 2), (4,)
ENOUGH = 100  # connections of a pool by session
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() " \
    "AND pid <> pg_backend_pid()"
FIGURES = {"events_per_second": "events/s", "postgres_cpu_us": "µs of Postgres' CPU an event",
           "own_cpu_us": "µs of its own CPU an event",
           "pooler_cpu_us": "µs of the pooler's CPU an event",
           "queries_per_second": "queries/s", "p99_ms": "ms at p99 of a query",
           "query_postgres_cpu_us": "µs of Postgres' CPU a query",
           "query_pooler_cpu_us": "µs of the pooler's CPU a query",
           "connections": "connections to Postgres"}


class Way(typing.NamedTuple):
    mode: str  # of the pooler; "": none
    pool_size: int
    prepare: str  # postgres.prepare

    def __str__(self):
        if not self.mode:
            return "direct"
        if self.mode == "session":
            return "by session"
        return f"by transaction, {self.pool_size}" + (", unprepared" if self.prepare == "never" else "")


def add_options(parser):
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--seconds", type=int, default=5, help="of queries")
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES)
    parser.add_argument("--pools", type=int, nargs="+", default=POOLS,
                        help=f"sizes of pools (default: {' '.join(map(str, POOLS))})")
    parser.add_argument("--quick", action="store_true", help="40,000 events, few sizes")


def ways(pools):
    found = [Way("", 0, "auto"), Way("session", ENOUGH, "always")]
    found += [Way("transaction", size, "auto") for size in pools]
    if stack.pgbouncer_version() >= (1, 21):
        found.append(Way("transaction", max(pools), "never"))
    return found


class Behind(scale.Fleet):
    """Processes that reach an empty database by one way."""

    def __init__(self, servers, name, way, processes):
        _, self.url = servers.program(name, {})  # migrated, directly
        self.pooler = None
        url = self.url
        if way.mode:
            self.pooler = stack.PgBouncer(servers.folder / f"{name}-pooler", servers.postgres,
                                          way.mode, way.pool_size)
            servers.cleanup.callback(self.pooler.kill)
            url = self.pooler.start().url(name)
        env = {"CACHE_ENABLED": "false", "AGGREGATOR_POSTGRES_PREPARE": way.prepare}
        self.members = [servers.process(f"{name}_{number}", url, env) for number in range(processes)]

    def pooler_seconds(self):
        return drain.cpu_seconds(self.pooler.pids()) if self.pooler else 0.0

    def stop(self):
        """After the drain the queries follow: end() stops."""

    def end(self):
        super().stop()
        if self.pooler:
            self.pooler.kill()


class Case:
    def __init__(self, servers, events, fleet, queries):
        self.servers, self.events, self.fleet, self.queries = servers, events, fleet, queries

    def drain(self):
        """Figures of the backlog. What the pooler takes at the start is its own, too."""
        figures = drain.timed(self.fleet, self.fleet.url, self.servers, (0, self.events))
        return figures | {"pooler_cpu_us": self.fleet.pooler_seconds() / self.events * 1e6}

    def ask(self, seconds):
        """Of queries to all processes at once."""
        database = self.servers.postgres.pids
        before = drain.cpu_seconds(database()), self.fleet.pooler_seconds()
        asking = [self.queries.start(member.port, seconds) for member in self.fleet.members]
        seen = [finish(process) for process in asking]
        after = drain.cpu_seconds(database()), self.fleet.pooler_seconds()
        good = sum(one["good"] for one in seen)
        cpu_us = [(last - first) / max(1, good) * 1e6 for first, last in zip(before, after)]
        return {"queries_per_second": sum(one["good"] / one["duration_us"] * 1e6 for one in seen),
                "p99_ms": max(one["p99_ms"] for one in seen),
                "query_postgres_cpu_us": cpu_us[0], "query_pooler_cpu_us": cpu_us[1],
                "connections": int(verify.query(self.fleet.url, CONNECTIONS)[0][0]),
                "failed": sum(one["failed"] + one["broken"] for one in seen)}


def publish(servers, folder, events):
    """How many events: of the batches that are asked for, and of the backlog."""
    registered, path = stream.Stream(), folder / "registered.jsonl"
    registered.write_registered(path)
    servers.feed(path)
    streams.publish(servers, folder, "spell", events)
    return events + registered.results + stream.BATCHES


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.seconds = 40000, 2
        options.processes, options.pools = QUICK_PROCESSES, QUICK_POOLS
    servers = Servers(options, folder, cleanup, redis=False, partitions=max(options.processes),
                      postgres_settings=("max_connections=300",),
                      kafka_properties={"group.initial.rebalance.delay.ms": scale.JOIN_MS})
    events = publish(servers, folder, options.events)
    queries = Queries(options.build, folder, stream.status_paths(), ["}"])
    version = ".".join(map(str, stack.pgbouncer_version()))
    report = Report(f"PgBouncer {version}: {events:,} spell checks, then queries for "
                    f"{options.seconds} s", ("", ""))
    failed = 0
    for processes in options.processes:
        for number, way in enumerate(ways(options.pools)):
            name = f"run{processes}_{number}"
            fleet = Behind(servers, name, way, processes)
            case = Case(servers, events, fleet, queries)
            figures = case.drain() | case.ask(options.seconds)
            fleet.end()
            servers.postgres.drop_database(name)
            failed += figures["failed"]
            title = f"{scale.plural(processes, 'process')}, {way}"
            print(title, *(f"{figures[key]:,.1f} {unit}" for key, unit in FIGURES.items()),
                  sep="; ", flush=True)
            for key, unit in FIGURES.items():
                report.add(title, figures[key], unit)
    report.none("queries that failed", failed)
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()

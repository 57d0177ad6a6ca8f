"""Many partitions and processes: start, memory, and the pause of a rolling restart.

Starts processes that share the partitions of many topics, publishes events to all partitions at a steady
rate, and replaces some of the processes one after the other, in each of the chosen ways. An event carries
the time at which it was published; Postgres notes when its row was committed. The pause of a partition is
the longest time that an event of it waited while processes were replaced; beside it stands the same of
the quiet seconds before, in which nothing but the machine's load delays an event. At the end every event
has to be in the view, and no cached response may have been dropped because a process left in order.

CPU stands beside the times, since a busy machine changes it less: at rest, and what one replacement costs
each process that stays, Kafka and Postgres above what they took before."""
import contextlib
import datetime
import json
import os
import select
import signal
import statistics
import threading
import time

import apache_kafka
import many_topics
import stack
from confluent_kafka import Producer
from crashtest import verify
from soak import samples

from . import servers as bench_servers
from .drain import cpu_seconds
from .growth import ended_cpu_seconds
from .report import Report, percentile

WAYS = ("restart", "static", "cooperative", "upgrade", "static_upgrade")
MOST_PAUSE_S = 1
WARM_S, QUIET_S = 5, 8  # of events before the replacements; the latter afterwards, too
REST_S = 10  # without an event
BATCHES = 200
WAITED = """
SELECT split_part(filename, ' ', 1),
  extract(epoch FROM pg_xact_commit_timestamp(xmin)) - split_part(filename, ' ', 2)::float8,
  split_part(filename, ' ', 2)::float8
FROM essay_results WHERE filename LIKE 'many.%'
"""


def add_options(parser):
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=20, help="of each topic")
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--replaced", type=int, default=8, help="processes, one after the other")
    parser.add_argument("--between", type=float, default=3,
                        help="seconds from the readiness of one until the next is replaced")
    parser.add_argument("--rate", type=int, default=200, help="events a second, to all partitions")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["restart", "static", "upgrade", "static_upgrade"])
    parser.add_argument("--quick", action="store_true",
                        help="10 topics, 4 processes, 3 of them replaced")


class Stream(threading.Thread):
    """Publishes to each partition in turn until stop(); count: of this and earlier streams."""

    def __init__(self, servers, options):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": servers.kafka.brokers, "linger.ms": 5})
        self.places = [(topic, number) for number in range(options.partitions)
                       for topic in servers.topics]
        self.interval_s = 1 / options.rate
        self.count, self.ends = servers.published, threading.Event()

    def publish(self):
        topic, partition = self.places[self.count % len(self.places)]
        # New rows only: the commit of a row is that of its event.
        self.producer.produce(topic, partition=partition, key=f"essay-{self.count}",
                              value=many_topics.value(
                                  topic, f"batch-{self.count % BATCHES}", f"essay-{self.count}",
                                  f"{topic}/{partition} {time.time():.6f}"))
        self.count += 1

    def run(self):
        due = time.monotonic()
        while not self.ends.is_set():
            self.publish()
            self.producer.poll(0)
            due += self.interval_s
            self.ends.wait(max(0, due - time.monotonic()))

    def stop(self):
        self.ends.set()
        self.join()
        self.producer.flush()
        return self.count


class Fleet:
    """The processes, on a database of their own; a group's first process reads the events of earlier
    groups, too. options_of(number) -> kafka.options of one."""

    def __init__(self, options, folder, servers, name, options_of):
        self.url = servers.postgres.create_database(name)
        self.members = []
        for number in range(options.processes):
            own = folder / f"{name}-{number}"
            own.mkdir()
            config = stack.edited_config(own / "config.lua",
                                         ("options = {},", f"options = {{ {options_of(number)} }},"))
            program = stack.Aggregator(own, options.build, self.url, servers.redis.url,
                                       servers.kafka.brokers,
                                       servers.env | {"SERVICE_NAME": f"{name}-{number}",
                                                      "KAFKA_SESSION_TIMEOUT_MS": "30000",
                                                      "KAFKA_CONSUMER_GROUP_ID": name}, config)
            servers.cleanup.callback(end, program)
            self.members.append(program)
        self.members[0].command("migrate")

    def partitions(self):
        return [member.metric("ras_consumer_partitions") for member in self.members]

    def start(self, total):
        """The seconds until all partitions are read."""
        began = time.monotonic()
        for member in self.members:
            member.start(wait=False)
        stack.wait_until("all partitions to be read", lambda: sum(self.partitions()) == total and
                         all(member.get("/readyz")[0] == 200 for member in self.members), 300, 0.2)
        return time.monotonic() - began

    def sum(self, metric):
        return sum(member.metric(metric) for member in self.members)

    def stop(self):
        for member in self.members:
            end(member)


def end(member):
    """It, or the process that took over from it."""
    member.stop()
    successor = getattr(member, "successor", None)
    if successor is not None:
        member.successor = None
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(successor, signal.SIGTERM)
            select.select([successor], [], [])  # readable once it has ended
        os.close(successor)


def replace(member, way):
    if way.endswith("upgrade"):
        said = json.loads(member.command("upgrade").stdout)
        member.successor = os.pidfd_open(said["pid"])
    else:
        member.stop()
        member.start(wait=False)
    stack.wait_until("readiness", lambda: member.get("/readyz")[0] == 200, 60, 0.02)


class Servers:
    """Postgres notes when each transaction was committed."""

    def __init__(self, options, folder, cleanup):
        self.cleanup, self.published = cleanup, 0
        self.topics = many_topics.names(options.topics)
        self.postgres = stack.Postgres(folder / "postgres", (
            "track_commit_timestamp=on", "max_connections=600", "shared_buffers=256MB"))
        cleanup.callback(self.postgres.remove)
        self.kafka = apache_kafka.ApacheKafka(folder / "kafka", self.topics, options.partitions,
                                       {"group.initial.rebalance.delay.ms": 3000})
        self.redis = stack.Redis(folder / "redis")
        for server in (self.postgres, self.redis, self.kafka):
            # Kafka closes thousands of files in order for a minute.
            cleanup.callback(server.kill if server is self.kafka else server.stop)
            server.start()
        self.kafka.create_topics(options.build)
        self.env = many_topics.write_scripts(folder / "scripts", self.topics) | {
            "SQL_ROOT": str(stack.ROOT / "sql")}


def waits(rows, since, until):
    """The longest wait of an event of each partition, published in that time; in seconds."""
    found = {}
    for place, waited, at in rows:
        if since <= at < until:
            found[place] = max(found.get(place, 0), float(waited))
    return list(found.values())


class Cpu:
    """CPU from now on: of each of the processes, on average, of Kafka, and of Postgres."""

    def __init__(self, servers, members):
        self.servers, self.members = servers, [member.process.pid for member in members]
        self.began, self.before = time.monotonic(), self.read()

    def read(self):
        postgres = self.servers.postgres
        return {"a process": cpu_seconds(self.members) / max(1, len(self.members)),
                "Kafka": cpu_seconds(self.servers.kafka.pids()),
                "Postgres": cpu_seconds(postgres.pids()) + ended_cpu_seconds(postgres.process.pid)}

    def rates(self):
        """By name: seconds a second."""
        elapsed_s = time.monotonic() - self.began
        return {name: (spent - self.before[name]) / elapsed_s for name, spent in self.read().items()}


def absence_s(member):
    """Between the beginning of its last stop and the partitions that it got afterwards."""
    lines = [json.loads(line) for line in member.log.read_text().splitlines() if line.startswith("{")]
    stops = [line["time"] for line in lines if line["message"] == "stopping"]
    after = [line["time"] for line in lines if line["message"] == "partitions assigned" and
             stops and line["time"] > stops[-1]]
    if not after:
        return None
    left, came = (datetime.datetime.fromisoformat(at) for at in (stops[-1], after[0]))
    return (came - left).total_seconds()


STATIC = '["group.instance.id"] = "member-{}"'
KAFKA_OPTIONS = {
    "static": STATIC,
    "static_upgrade": STATIC,
    "cooperative": '["partition.assignment.strategy"] = "cooperative-sticky"',
}


def measure(options, folder, servers, way, report):
    total = options.topics * options.partitions
    fleet = Fleet(options, folder, servers, f"many_{way}",
                  lambda number: KAFKA_OPTIONS.get(way, "").format(number))
    report.add(f"{way}: all partitions are read after", fleet.start(total), "s")
    taken = [samples.take(member) for member in fleet.members]
    report.add(f"{way}: memory of a process, median", statistics.median(one.memory_mb for one in taken), "MB")
    resting = Cpu(servers, fleet.members)
    time.sleep(REST_S)
    for name, rate in resting.rates().items():
        report.add(f"{way}: CPU at rest, {name}", 100 * rate, "% of a core")
    stream = Stream(servers, options)
    stream.start()
    time.sleep(WARM_S)
    stack.wait_until("the first events", lambda: bench_servers.committed(fleet.url) >= stream.count - options.rate,
                     300)
    quiet = time.time()
    before = Cpu(servers, fleet.members[options.replaced:])
    time.sleep(QUIET_S)
    usual = before.rates()
    meanwhile = Cpu(servers, fleet.members[options.replaced:])
    began, drops = time.time(), fleet.sum("ras_cache_drops_total")
    for member in fleet.members[:options.replaced]:
        replace(member, way)
        time.sleep(options.between)
    took_s = time.time() - began
    added = {name: (rate - usual[name]) * took_s / options.replaced for name, rate in meanwhile.rates().items()}
    time.sleep(QUIET_S)
    servers.published = stream.stop()
    stack.wait_until("all events", lambda: bench_servers.committed(fleet.url) >= servers.published, 120)
    events = verify.query(fleet.url, WAITED)
    pauses = waits(events, began, began + took_s)
    report.add(f"{way}: replacing {options.replaced} processes took", took_s, "s")
    absences = list(filter(None, map(absence_s, fleet.members[:options.replaced])))
    if absences:
        report.add(f"{way}: from a stop to its partitions, median", statistics.median(absences), "s")
    report.add(f"{way}: wait of an event before, longest of a partition, median",
               statistics.median(waits(events, quiet, began)), "s")
    report.add(f"{way}: the same while processes are replaced", statistics.median(pauses), "s")
    report.add(f"{way}: the same, 99 % of the partitions", percentile(pauses, 99), "s")
    report.at_most(f"{way}: the same, longest", max(pauses), "s", MOST_PAUSE_S)
    rows = int(verify.query(fleet.url, "SELECT count(*) FROM essay_results")[0][0])
    for name, seconds in added.items():
        report.add(f"{way}: CPU of one replacement, {name}", 1000 * seconds, "ms")
    report.none(f"{way}: events without their row", servers.published - rows)
    report.none(f"{way}: drops of all cached responses", fleet.sum("ras_cache_drops_total") - drops)
    fleet.stop()


def run(options, folder, cleanup):
    if options.quick:
        options.topics, options.processes, options.replaced = 10, 4, 3
    servers = Servers(options, folder, cleanup)
    report = Report(f"{options.topics} topics with {options.partitions} partitions, "
                    f"{options.processes} processes, {options.rate} events a second", ("", ""))
    for way in options.ways:
        measure(options, folder, servers, way, report)
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()

"""Cost of reactions, and the time until they publish.

Judgements come one after the other, while the machine does nothing else, and a consumer waits for
what is published of each: timed from the commit of the transaction that stores the judgement. Then
whole lives of batches are drained by the project's scripts and by the same without reactions, in
turn, and the two of each turn are compared. What is published is sent, though the samples are old."""
import contextlib
import json
import shutil
import statistics
import time
import uuid

import outgoing_forms
import psycopg2
import stack
from confluent_kafka import Consumer, Producer, TopicPartition
from crashtest.stream import exchanger

from . import drain, streams
from .report import Report, percentile
from .servers import Servers, committing

LEAST_OF_WITHOUT = 0.93
MOST_P50_MS = 10
ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000"}
ASSESSED = "huleedu.assessment.result.published.v1"
WAITING = "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks) " \
    "+ (SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')"
COMMITTED_AT = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 " \
    "FROM assessments WHERE batch_id = %s"
PATIENCE_S = 30
PAUSE_S = 0.05  # between two judgements: nothing of the one before is under way


def add_options(parser):
    parser.add_argument("--events", type=int, default=300000, help="of a drain")
    parser.add_argument("--runs", type=int, default=3, help="turns of a drain with and one without")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--facts", type=int, default=300, help="that are waited for, when idle")
    parser.add_argument("--quick", action="store_true", help="60,000 events, one turn, 100 facts")


# ---- what they cost

class Drained:
    """The program; before it ends it publishes all that it has to."""

    def __init__(self, program, url, behind_s):
        self.program, self.url, self.behind_s = program, url, behind_s
        self.start, self.pids = program.start, program.pids

    def stop(self):
        began = time.monotonic()
        with asking(self.url) as ask:
            stack.wait_until("all to be published", lambda: ask(WAITING) == 0, 600)
        self.behind_s.append(time.monotonic() - began)
        self.program.stop()


class Drains:
    def __init__(self, options, folder, servers):
        self.options, self.servers = options, servers
        self.silent = folder / "scripts"
        shutil.copytree(stack.ROOT / "scripts", self.silent,
                        ignore=shutil.ignore_patterns("reactions"))
        self.untimed = 2 * options.facts  # what the judgements before have left in the log
        streams.publish(servers, folder, "lifecycle", options.events)
        self.runs = {"with reactions": [], "without": []}
        self.behind_s = []  # from the last commit until all was published

    def once(self, name, number):
        env = ALL_HISTORY | {"INGEST_WORKERS": str(self.options.workers)}
        if name == "without":
            env["SCRIPTS_ROOT"] = str(self.silent)
        program, url = self.servers.program(f"{name.split()[0]}{number}", env)
        span = (self.untimed, self.untimed + self.options.events)
        with committing(url) as now:
            figures = drain.measured(Drained(program, url, self.behind_s), now, self.servers, span)
        self.runs[name].append(figures)
        drain.show(f"{number + 1} {name}", figures)

    def take_turns(self):
        """Each is first as often as the other."""
        for number in range(self.options.runs):
            names = sorted(self.runs, reverse=number % 2 == 0)
            for name in names:
                self.once(name, number)


@contextlib.contextmanager
def asking(url):
    """ask(sql, parameters…) over one connection: the value."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            def ask(sql, *parameters):
                cursor.execute(sql, parameters)
                return cursor.fetchone()[0]

            yield ask


# ---- how soon they publish

def judgements(count):
    """(registration, judgement) of batches of their own, copied from a sample's."""
    lines = (stack.SAMPLES / "current.jsonl").read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    judged = next(number for number, record in enumerate(records) if record["topic"] == ASSESSED)
    batch_id = records[judged]["value"]["data"]["batch_id"]
    registered = next(number for number, record in enumerate(records)
                      if record["value"]["data"].get("entity_id") == batch_id)
    for _ in range(count):
        copy = exchanger(lambda: str(uuid.uuid4()).encode())
        yield [json.loads(copy(lines[number])) for number in (registered, judged)]


class Idle:
    def __init__(self, options, servers):
        self.program, self.url = servers.program("ras_idle", ALL_HISTORY | {"INGEST_WORKERS": "1"})
        self.pairs = list(judgements(options.facts))
        self.producer = Producer({"bootstrap.servers": servers.kafka.brokers, "linger.ms": 0})
        self.consumer = Consumer({"bootstrap.servers": servers.kafka.brokers, "group.id": "idle",
                                  "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(outgoing_forms.JUDGED, number, 0)
                              for number in range(servers.kafka.partitions)])

    def produce(self, record):
        self.producer.produce(record["topic"], json.dumps(record["value"]).encode(),
                              record["key"].encode())
        self.producer.flush(PATIENCE_S)

    def seen_at(self, batch_id):
        """Unix seconds, at a consumer."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            message = self.consumer.poll(0.1)
            if message is not None and not message.error() and message.key().decode() == batch_id:
                return time.time()
        raise AssertionError(f"nothing is published of {batch_id} after {PATIENCE_S} s")

    def once(self, judged, ask):
        """Milliseconds from the commit to the consumer."""
        batch_id = judged["value"]["data"]["batch_id"]
        self.produce(judged)
        seen_at = self.seen_at(batch_id)
        return (seen_at - ask(COMMITTED_AT, batch_id)) * 1000

    def measure(self):
        """Without the first, for which the Kafka client was made."""
        self.program.start()
        for registered, _ in self.pairs:
            self.produce(registered)
        with committing(self.url) as now:
            stack.wait_until("the registrations", lambda: now() == len(self.pairs))
        waits_ms = []
        with asking(self.url) as ask:
            for _, judged in self.pairs:
                waits_ms.append(self.once(judged, ask))
                time.sleep(PAUSE_S)
        self.program.stop()
        self.consumer.close()
        return waits_ms[1:]


# ---- the report

def judge(options, drains, waits_ms):
    report = Report(f"lifecycle, {options.events:,} events with reactions and without, and "
                    f"{options.facts} judgements when idle", ("runs", "figure"))
    for name, figures in drains.runs.items():
        for key, unit in drain.UNITS.items():
            if key in figures[0]:
                report.median(name, [run[key] for run in figures], unit)
    pairs = zip(drains.runs["with reactions"], drains.runs["without"])
    report.median("rate, of that without", [one["events_per_second"] / other["events_per_second"]
                                            for one, other in pairs], "times", LEAST_OF_WITHOUT)
    report.add("from the last commit until all is published", max(drains.behind_s), "s")
    report.at_most("commit to a consumer, p50", statistics.median(waits_ms), "ms", MOST_P50_MS)
    report.add("commit to a consumer, p99", percentile(waits_ms, 99), "ms")
    report.add("commit to a consumer, longest", max(waits_ms), "ms")
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs, options.facts = 60000, 1, 100
    servers = Servers(options, folder, cleanup, redis=False,
                      postgres_settings=("track_commit_timestamp=on",))
    stack.create_topics(options.build, servers.kafka.brokers, outgoing_forms.TOPICS,
                        servers.kafka.partitions)
    waits_ms = Idle(options, servers).measure()
    drains = Drains(options, folder, servers)
    drains.take_turns()
    report = judge(options, drains, waits_ms)
    report.print()
    if options.json:
        report.write(options.json, runs=drains.runs, waits_ms=waits_ms)
    return report.problems()

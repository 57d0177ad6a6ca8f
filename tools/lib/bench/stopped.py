"""How long the program takes to make up for a stop of an hour.

Publishes what comes in an hour at 1,000 events a second while the program is stopped; starts it,
with two workers, while another 1,000 a second go on arriving; and times it from its execution until
the database has passed all that was in Kafka's log a moment before. Fewer events than those of an
hour (--quick, --events) show how fast it goes, and the hour's time is computed from that."""
import contextlib
import time

import psycopg2
import spell_results
import stack
from crashtest import log, verify

from . import drain, streams
from .report import Report
from .servers import Servers

RATE = 1000  # events a second
HOUR_EVENTS = 3600 * RATE
MOST_S = 60
WORKERS = 2
PARTITIONS = 4  # as many for each worker
PATIENCE_S = 600
MOMENT_S = 0.1  # an event that came within it is under way, and not behind
OFFSETS = "SELECT partition, next_offset FROM aggregator_state.consumer_offsets " \
    f"WHERE topic = '{spell_results.TOPIC}'"


def add_options(parser):
    parser.add_argument("--events", type=int, default=HOUR_EVENTS, help="that came meanwhile")
    parser.add_argument("--redis", action="store_true", help="with the memory of seen events")
    parser.add_argument("--quick", action="store_true", help="200,000 events")


class Lag:
    """How many events of the log the database has not passed; `cleanup` ends its connections."""

    def __init__(self, brokers, url, cleanup):
        self.reader = log.open_reader(brokers)
        cleanup.callback(self.reader.close)
        connection = cleanup.enter_context(contextlib.closing(psycopg2.connect(url)))
        connection.autocommit = True
        self.cursor = cleanup.enter_context(connection.cursor())

    def ends(self):
        """{partition: how many events are in the log}"""
        ends = log.end_offsets(self.reader, [spell_results.TOPIC], PARTITIONS)
        return {partition: end for (_, partition), end in ends.items()}

    def committed(self):
        """{partition: how many events the database has passed}"""
        self.cursor.execute(OFFSETS)
        return {partition: max(0, offset) for partition, offset in self.cursor.fetchall()}

    def events(self):
        """Of those that were there a moment ago."""
        ends = self.ends()
        time.sleep(MOMENT_S)
        held = self.committed()
        return sum(max(0, end - held.get(partition, 0)) for partition, end in ends.items())


def go_on(servers):
    """What arrives from now on: the process that publishes it."""
    path = servers.folder / "arriving.jsonl"
    spell_results.write(path, streams.in_batches(RATE * PATIENCE_S))
    feeder = stack.feed(servers.build, servers.kafka.brokers, path, RATE, wait=False)
    servers.cleanup.callback(feeder.wait)
    servers.cleanup.callback(feeder.kill)
    return feeder


def wait_while_running(program, what, condition):
    def look():
        if not program.running():
            raise AssertionError(f"the program ended:\n{stack.tail(program.log)}")
        return condition()

    stack.wait_until(what, look, PATIENCE_S, 0.01)


def catch_up(program, lag):
    """Figures of it, from the program's start to the end of its lag."""
    began, behind = time.monotonic(), sum(lag.ends().values())
    program.start(wait=False)
    wait_while_running(program, "the first commit", lambda: sum(lag.committed().values()) > 0)
    first_s, first = time.monotonic() - began, sum(lag.committed().values())
    wait_while_running(program, "the end of the lag", lambda: lag.events() == 0)
    gone_s, passed = time.monotonic() - began, sum(lag.committed().values())
    return {"first_s": first_s, "gone_s": gone_s,
            "events_per_second": (passed - first) / (gone_s - first_s),
            "arrived_per_second": (sum(lag.ends().values()) - behind) / gone_s,
            "resident_mb": drain.most_resident_mb(program.process.pid)}


def of_an_hour_s(figures):
    """Computed from the rate: from the start to the end of the lag, after a stop of an hour."""
    gained = figures["events_per_second"] - RATE
    return figures["first_s"] + HOUR_EVENTS / gained if gained > 0 else float("inf")


def lost(lag, url):
    """Events without a row, once the program has passed all of them."""
    stack.wait_until("the end of the log", lambda: lag.events() == 0)
    rows = verify.query(url, "SELECT count(*) FROM essay_results")[0][0]
    return abs(sum(lag.ends().values()) - rows)


def judge(options, figures, missing):
    report = Report(f"{options.events:,} events behind, {RATE:,} more a second, {WORKERS} workers",
                    ("", ""))
    if options.events >= HOUR_EVENTS:
        report.at_most("lag is gone after", figures["gone_s"], "s", MOST_S)
    else:
        report.add("lag is gone after", figures["gone_s"], "s")
        report.at_most(f"computed for {HOUR_EVENTS:,} events", of_an_hour_s(figures), "s", MOST_S)
    report.add("of it until the first commit", figures["first_s"], "s")
    report.add("rate since then", figures["events_per_second"], "events/s")
    report.add("arrived meanwhile", figures["arrived_per_second"], "events/s")
    report.add("resident, at most", figures["resident_mb"], "MB")
    report.none("rows missing, or too many", missing)
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events = 200000
    servers = Servers(options, folder, cleanup, redis=options.redis, partitions=PARTITIONS)
    program, url = servers.program("ras_stopped", {"INGEST_WORKERS": str(WORKERS)})
    servers.feed_results(streams.in_batches(options.events))
    lag = Lag(servers.kafka.brokers, url, cleanup)
    feeder = go_on(servers)
    figures = catch_up(program, lag)
    feeder.terminate()
    feeder.wait()
    report = judge(options, figures, lost(lag, url))
    report.print()
    if options.json:
        report.write(options.json, **figures)
    return report.problems()

"""Latency of a user's list of batches, which is never cached: by its page and by the user's batches.

Each user has so many batches of thirty essays: of ten, one is registered only, one has spell checks,
one an outcome of a phase, seven have ended. A page is requested over one connection that stays open,
one request after the other, with and without a filter. Then backlogs are drained by the program as it
is and by the same without the triggers on the view's tables, which note what lists depend on, in turn:
the ratio of each turn is what lists cost ingestion. Exits with 1 where a list has not
as many batches as it has to have; a target that is missed is only said."""
import contextlib
import http.client
import json
import statistics
import time

import stack
from crashtest import verify

from . import drain, filling, lives, streams
from .report import Report, percentile
from .servers import Servers, committed

SIZES = (200, 2000, 20000)
QUICK = (200, 2000)
LIMITS = (20, 100)
FILTERS = ("", "processing", "completed_successfully")
TARGET_LIMIT, MOST_P50_MS = 20, 6
LEAST_OF_WITHOUT = 0.97
STREAMS = ("spell", "lifecycle")
TRIGGERS = """
    SELECT DISTINCT format('ALTER TABLE %s DISABLE TRIGGER USER', tgrelid::regclass)
    FROM pg_trigger WHERE NOT tgisinternal"""


def add_options(parser):
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="batches of a user")
    parser.add_argument("--requests", type=int, default=300, help="of each list")
    parser.add_argument("--events", type=int, default=200000, help="of a drain")
    parser.add_argument("--runs", type=int, default=3, help="turns of drains; 0: none")
    parser.add_argument("--quick", action="store_true",
                        help="users of 200 and 2,000 batches, 100 requests, 60,000 events, one turn")


# ---- the lists

def user_of(size):
    return f"teacher-of-{size}"


def expected(size, word):
    """How many batches of a user of `size` a filter finds."""
    if word == "completed_successfully":
        return size * lives.ENDED // 10
    return size * 2 // 10 if word else size


class Lists:
    """The program with a user of each size."""

    def __init__(self, options, servers):
        self.options = options
        env = {"INGEST_WORKERS": "2", "CACHE_ENABLED": "false"}
        self.program, self.url = servers.program("ras_lists", env)
        self.program.start()
        stream = lives.Lives()
        for size in options.sizes:
            stream.feed(servers, user_of(size), size)
        stack.wait_until("the batches", lambda: committed(self.url) >= stream.events, 1800, 0.5)
        filling.settle(self.url)
        self.client = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=60)
        self.wrong = 0  # lists without the batches that they have to have
        self.refused = 0  # requests whose list was not derived in time

    def ask(self, path):
        """The body. A 503 says that statuses are still derived, which goes on with the next request."""
        while True:
            self.client.request("GET", path, headers=stack.HEADERS)
            answer = self.client.getresponse()
            body = answer.read()
            if answer.status != 503:
                return body
            self.refused += 1

    def once(self, size, limit, word):
        """(milliseconds, bytes)"""
        began = time.monotonic()
        body = self.ask(f"/internal/v1/batches/user/{user_of(size)}?limit={limit}&status={word}")
        took_ms = (time.monotonic() - began) * 1000
        found = json.loads(body)
        total = expected(size, word)
        self.wrong += "batches" not in found or (
            len(found["batches"]), found["pagination"]["total"]) != (min(limit, total), total)
        return took_ms, len(body)

    def measure(self, size, limit, word):
        """(milliseconds of the first request, of each other, bytes)"""
        first_ms, size_bytes = self.once(size, limit, word)
        return first_ms, [self.once(size, limit, word)[0]
                          for _ in range(self.options.requests)], size_bytes


def add_lists(report, lists):
    for size in lists.options.sizes:
        for word in FILTERS:
            for limit in LIMITS:
                first_ms, took_ms, size_bytes = lists.measure(size, limit, word)
                name = f"{size:,} batches, {word or 'no filter'}, page of {limit}"
                print(f"{name}: {statistics.median(took_ms):.2f} ms, p99 "
                      f"{percentile(took_ms, 99):.2f}, first {first_ms:.1f}, "
                      f"{size_bytes / 1024:.0f} kB", flush=True)
                met = None if limit != TARGET_LIMIT else statistics.median(took_ms) <= MOST_P50_MS
                report.add(f"{name}: p50", statistics.median(took_ms), "ms", met=met,
                           target="" if met is None else f"≤ {MOST_P50_MS}")
                report.add(f"{name}: p99", percentile(took_ms, 99), "ms")
                report.add(f"{name}: first", first_ms, "ms")
    report.none("lists without their batches", lists.wrong)
    report.add("requests refused (503) until a list was derived", lists.refused, "", met=not lists.refused,
               target="0")


# ---- what they cost ingestion

class Drains:
    """A stream, drained with the triggers and without."""

    def __init__(self, options, servers, stream):
        self.options, self.servers, self.stream = options, servers, stream
        streams.publish(servers, servers.folder, stream, options.events)
        self.runs = {"with lists": [], "without": []}

    def once(self, name, number):
        program, url = self.servers.program(f"{name.split()[0]}{number}", {"INGEST_WORKERS": "1"})
        if name == "without":
            for statement, in verify.query(url, TRIGGERS):
                verify.query(url, statement)
        figures = drain.timed(program, url, self.servers, (0, self.options.events))
        self.servers.postgres.drop_database(f"{name.split()[0]}{number}")
        self.runs[name].append(figures)
        drain.show(f"{self.stream} {number + 1} {name}", figures)

    def take_turns(self):
        """Each is first as often as the other."""
        for number in range(self.options.runs):
            for name in sorted(self.runs, reverse=number % 2 == 0):
                self.once(name, number)


def add_drains(report, drains):
    for name, figures in drains.runs.items():
        for key in ("events_per_second", "postgres_cpu_us"):
            report.median(f"{drains.stream} {name}", [run[key] for run in figures], drain.UNITS[key])
    pairs = list(zip(drains.runs["with lists"], drains.runs["without"]))
    for what, key, least in (("rate", "events_per_second", LEAST_OF_WITHOUT),
                             ("Postgres' CPU", "postgres_cpu_us", None)):
        report.median(f"{drains.stream}: {what}, of that without",
                      [one[key] / other[key] for one, other in pairs], "times", least)


def run(options, folder, _):
    if options.quick:
        options.sizes, options.requests, options.events, options.runs = QUICK, 100, 60000, 1
    report = Report(f"a user's list, {options.requests} requests each; {options.events:,} events of "
                    f"whole lives, {options.runs} turns", ("least to most", "figure"))
    with contextlib.ExitStack() as own:
        lists = Lists(options, Servers(options, folder / "lists", own, redis=False))
        add_lists(report, lists)
    for stream in STREAMS if options.runs else ():
        with contextlib.ExitStack() as own:
            drains = Drains(options, Servers(options, folder / stream, own, redis=False), stream)
            drains.take_turns()
            add_drains(report, drains)
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()

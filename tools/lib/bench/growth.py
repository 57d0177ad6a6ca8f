"""Cost of an event as the view grows.

A view is filled with rows of essay_results; then the program adds a backlog of spell checks, each
a new row, to one copy of it, tools/bare as many rows to another, in turn, several times; then it is
filled up to the next size. Prints what an event and a row cost at each size, and how many times
what they did at the smallest. The larger the indexes, the more each row costs whoever writes it: an
event must not become dearer than that."""
import contextlib
import pathlib
import statistics

import spell_results
import stack
from crashtest import verify

from . import bare, drain, filling, streams
from .report import Report
from .servers import Servers, committed

SIZES = (10000, 100000, 1000000, 10000000)
QUICK = (10000, 100000, 300000)
VIEW = "filled"
CONNECTIONS = 1
MOST_RATIO = 1.1  # of the program's growth to bare's: 1, and what two runs differ by
# Autovacuum would run in some measurements only.
POSTGRES_SETTINGS = ("autovacuum=off",)


def add_options(parser):
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows, in rising order")
    parser.add_argument("--events", type=int, default=200000, help="of the backlog")
    parser.add_argument("--runs", type=int, default=3, help="at each size")
    parser.add_argument("--quick", action="store_true",
                        help="60,000 events, one run, sizes up to 300,000")


def ended_cpu_seconds(pid):
    """Of a process' children that have ended, and been waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / 100


@contextlib.contextmanager
def counting_cpu(postgres, seconds):
    """Adds what its processes take meanwhile to `seconds`, those of connections that end too."""
    pid = postgres.process.pid
    there = postgres.pids()
    before = drain.cpu_seconds(there) + ended_cpu_seconds(pid)
    yield
    stack.wait_until("the end of all connections",
                     lambda: set(postgres.pids()) <= set(there))
    seconds.append(drain.cpu_seconds(there) + ended_cpu_seconds(pid) - before)


class Growth:
    """A view that is filled, and what is measured with copies of it."""

    def __init__(self, options, servers):
        self.options, self.servers = options, servers
        self.held = 1  # rows
        self.missing = 0  # of those that there should be after a run
        self.copies = 0
        self.backlog = servers.folder / "backlog.jsonl"

    def begin(self):
        """The view's first row is the program's; the backlog comes behind it in Kafka's log."""
        self.servers.feed_results(streams.in_batches(1))
        program, url = self.servers.program(VIEW, {})
        program.start()
        stack.wait_until("the first row", lambda: committed(url) == self.held)
        program.stop()
        spell_results.write(self.backlog, streams.in_batches(self.options.events))
        self.servers.feed(self.backlog)
        self.on_copy(self.drain)  # Kafka's first reading is slow: later ones would seem to gain

    def fill(self, rows):
        url = self.servers.postgres.url(VIEW)
        self.servers.restart_postgres(filling.POSTGRES_SETTINGS)
        filling.fill(url, self.held, rows)
        filling.settle(url)
        self.held = rows
        self.servers.restart_postgres(POSTGRES_SETTINGS)

    def on_copy(self, measure):
        """measure(database's name)'s figures, with a copy of the view."""
        name = f"run{self.copies}"
        self.copies += 1
        self.servers.postgres.copy_database(name, VIEW)
        figures = measure(name)
        rows = verify.query(self.servers.postgres.url(name), "SELECT count(*) FROM essay_results")
        self.missing += abs(self.held + self.options.events - rows[0][0])
        self.servers.postgres.drop_database(name)
        return figures

    def drain(self, name):
        program, url = self.servers.program(name, {"INGEST_WORKERS": str(CONNECTIONS)})
        return drain.timed(program, url, self.servers, (1, 1 + self.options.events))

    def write(self, name):
        rows, seconds = self.options.events, []
        with counting_cpu(self.servers.postgres, seconds):
            figures = bare.measured([self.servers.build / "bare", stack.ROOT / "config.lua", self.backlog,
                                     CONNECTIONS, bare.BATCH_EVENTS, self.servers.postgres.url(name)], rows)
        return figures | {"postgres_cpu_us": seconds[0] / rows * 1e6}

    def measure(self, rows):
        """{who: [figures of a run]}"""
        self.fill(rows)
        runs = {"aggregator": [], "bare": []}
        for number in range(self.options.runs):
            for who, measure in (("aggregator", self.drain), ("bare", self.write)):
                runs[who].append(self.on_copy(measure))
                drain.show(f"{rows:,} {number + 1} {who}", runs[who][-1])
        return runs


def median(runs, key):
    return statistics.median(figures[key] for figures in runs)


def growth(sizes, rows, who, key):
    """Of a cost, since the smallest size."""
    return median(sizes[rows][who], key) / median(sizes[min(sizes)][who], key)


def slowdown(sizes, rows, who):
    """Of the time that each takes."""
    return 1 / growth(sizes, rows, who, "events_per_second")


def add_size(report, sizes, rows):
    own, other = sizes[rows]["aggregator"], sizes[rows]["bare"]
    for key in ("events_per_second", "postgres_cpu_us"):
        report.compare(f"{rows:,} rows", median(own, key), drain.UNITS[key], median(other, key))
    report.add(f"{rows:,} rows", median(own, "own_cpu_us"), drain.UNITS["own_cpu_us"])


def add_growth(report, sizes, rows):
    most_ratio = MOST_RATIO if rows == max(sizes) else None
    report.compare(f"{rows:,} rows: time, growth", slowdown(sizes, rows, "aggregator"), "times",
                   slowdown(sizes, rows, "bare"), most_ratio)
    report.compare(f"{rows:,} rows: Postgres' CPU, growth",
                   growth(sizes, rows, "aggregator", "postgres_cpu_us"), "times",
                   growth(sizes, rows, "bare", "postgres_cpu_us"), most_ratio)
    report.add(f"{rows:,} rows: own CPU, growth", growth(sizes, rows, "aggregator", "own_cpu_us"),
               "times")


def judge(options, sizes, missing):
    report = Report(f"{options.events:,} new rows beside those that there are, medians of "
                    f"{options.runs} runs", ("bare", "program"))
    for rows in sizes:
        add_size(report, sizes, rows)
    for rows in sorted(sizes)[1:]:
        add_growth(report, sizes, rows)
    report.none("rows missing, or too many", missing)
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs, options.sizes = 60000, 1, QUICK
    servers = Servers(options, folder, cleanup, redis=False)
    grown = Growth(options, servers)
    grown.begin()
    sizes = {rows: grown.measure(rows) for rows in sorted(options.sizes)}
    report = judge(options, sizes, grown.missing)
    report.print()
    if options.json:
        report.write(options.json, sizes=sizes)
    return report.problems()

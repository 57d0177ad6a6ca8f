"""What the rows of a stream take of Postgres, and what a change of the database would save.

tools/bare writes the rows of the same events into an empty database as it is, and into one on which the
statements of each --sql file were run first, in turn, several times. Prints the CPU of Postgres and the
log (WAL) of an event; ratios are those within each turn. With --instructions Postgres runs under
valgrind, fifty times as slow: what its backend executes for an event hardly depends on other work of
the machine."""
import contextlib
import pathlib
import re
import shutil
import subprocess
import tempfile

import stack
from crashtest import verify

from . import bare, drain, growth, streams
from .report import Report

AS_IS = "as it is"
CONNECTIONS = 1
SETTINGS = ("autovacuum=off", "max_wal_size=8GB")  # neither runs in some measurements only
LOG_BYTES = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8"


def add_options(parser):
    parser.add_argument("--stream", choices=streams.STREAMS, default="lifecycle")
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sql", nargs="*", type=pathlib.Path, default=[], metavar="FILE")
    parser.add_argument("--instructions", action="store_true",
                        help="count Postgres' instructions (valgrind) instead: take some 24,000 events")
    parser.add_argument("--quick", action="store_true", help="20,000 events, one run")


@contextlib.contextmanager
def counting_instructions(postgres, found):
    """Restarts it under callgrind; appends what its busiest process has executed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="aggregator-instructions."))
    shutil.chown(folder, "postgres")
    postgres.stop()
    postgres.wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/%p", "--log-file=/dev/null")
    postgres.start()
    try:
        yield
        postgres.stop()
        totals = (re.search(r"^totals: (\d+)", path.read_text(errors="replace"), re.M)
                  for path in folder.iterdir())
        found.append(max(int(total[1]) for total in totals if total))
    finally:
        postgres.wrapper = ()
        shutil.rmtree(folder)
    postgres.start()


class Rows:
    def __init__(self, options, folder, postgres):
        self.options, self.folder, self.postgres = options, folder, postgres
        self.files = streams.files(folder)

    def write(self, file, url):
        return bare.measured([self.options.build / "bare", stack.ROOT / "config.lua", file, CONNECTIONS,
                              bare.BATCH_EVENTS, url], self.options.events)

    def measure(self, sql):
        url = self.postgres.create_database("rows")
        stack.Aggregator(self.folder, self.options.build, url, "none", "", stack.ROOTS).command("migrate")
        if sql:
            subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", sql, url], check=True)
        for file in self.files[:-1]:
            self.write(file, url)
        figures = self.count(url) if self.options.instructions else self.time(url)
        self.postgres.drop_database("rows")
        return figures

    def time(self, url):
        log, seconds = verify.query(url, LOG_BYTES)[0][0], []
        with growth.counting_cpu(self.postgres, seconds):
            figures = self.write(self.files[-1], url)
        log = verify.query(url, LOG_BYTES)[0][0] - log
        return {"events_per_second": figures["events_per_second"], "wal_kb": log / self.options.events / 1000,
                "postgres_cpu_us": seconds[0] / self.options.events * 1e6}

    def count(self, url):
        found = []
        with counting_instructions(self.postgres, found):
            self.write(self.files[-1], url)
        return {"instructions": found[0] / self.options.events}


def judge(options, runs):
    report = Report(f"rows of {options.stream}: {options.events:,} events, {options.runs} runs",
                    ("runs", "median"))
    for name, figures in runs.items():
        for key in sorted(figures[0].keys() - {"events_per_second"}):
            report.median(name, [run[key] for run in figures], drain.UNITS[key])
            if name != AS_IS:
                shares = [run[key] / other[key] for run, other in zip(figures, runs[AS_IS])]
                report.median(f"{name}, {drain.UNITS[key]}", shares, "times")
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs = 20000, 1
    postgres = stack.Postgres(folder / "postgres", SETTINGS)
    cleanup.callback(postgres.remove)
    cleanup.callback(postgres.stop)
    postgres.start()
    streams.STREAMS[options.stream](folder, options.events)
    rows = Rows(options, folder, postgres)
    contestants = {AS_IS: None, **{file.stem: file for file in options.sql}}
    runs = {name: [] for name in contestants}
    for number in range(options.runs):
        for name, sql in contestants.items():
            runs[name].append(rows.measure(sql))
            drain.show(f"{number + 1} {name}", runs[name][-1])
    report = judge(options, runs)
    report.print()
    if options.json:
        report.write(options.json, runs=runs)
    return report.problems()

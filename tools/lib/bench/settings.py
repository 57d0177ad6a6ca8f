"""What Postgres' settings give: how fast a backlog drains with its defaults except one.

Publishes a stream once, and drains it into an empty database with each setting in turn, several
times; Postgres is started anew for each. Prints the rate as a share of that with the defaults of
the same turn, and how much write-ahead log an event makes. Two are no settings:
`essay_results.fillfactor` is one of the view's table, and `locale=C` makes the database with the C
library's order of bytes instead of ICU's order of a language: indexes of text are compared cheaper."""
import contextlib
import subprocess

import stack
from crashtest import verify

from . import drain, streams
from .report import Report
from .servers import Servers

DEFAULTS = "defaults"
RECOMMENDED = ("shared_buffers=512MB", "max_wal_size=8GB", "wal_compression=lz4")
SETTINGS = (*RECOMMENDED, "wal_buffers=64MB", "synchronous_commit=off", "commit_delay=1000",
            "checkpoint_completion_target=0.5", "jit=off", "essay_results.fillfactor=100",
            "locale=C", "full_page_writes=off")  # the last as a measure only: a crash may then destroy the data
QUICK = RECOMMENDED[:2]
TABLE = "essay_results."
LOCALE = "locale="
COUNTS = """
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8,
      checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter"""


def add_options(parser):
    parser.add_argument("--stream", choices=streams.STREAMS, default="spell")
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--settings", nargs="+", metavar="NAME=VALUE[,NAME=VALUE]",
                        help="these, each alone or several by commas (default: the known ones, and "
                             f"{', '.join(RECOMMENDED)} together)")
    parser.add_argument("--last", type=int, default=0, metavar="N",
                        help="of the settings only the last so many")
    parser.add_argument("--quick", action="store_true", help="100,000 events, once, two settings")


@contextlib.contextmanager
def counting(url, counts):
    """Puts how many bytes of log were written meanwhile, and how many checkpoints, into counts."""
    before = verify.query(url, COUNTS)[0]
    yield
    counts += [now - then for now, then in zip(verify.query(url, COUNTS)[0], before)]


class Settings:
    def __init__(self, options, servers, untimed):
        self.options, self.servers = options, servers
        self.span = (untimed, untimed + options.events)

    def make_database(self, name, locale):
        """Of the C library's locale: the program then finds it there."""
        subprocess.run([stack.POSTGRES_BIN / "createdb", "--maintenance-db",
                        self.servers.postgres.url(), "--template", "template0",
                        "--locale-provider", "libc", "--locale", locale, name], check=True)

    def measure(self, setting, number):
        """The figures of a run with it: one or several words, or DEFAULTS."""
        words = [] if setting == DEFAULTS else setting.split(",")
        self.servers.restart_postgres(word for word in words
                                      if not word.startswith((TABLE, LOCALE)))
        for word in words:
            if word.startswith(LOCALE):
                self.make_database(f"run{number}", word[len(LOCALE):])
        program, url = self.servers.program(f"run{number}", {})
        for word in words:
            if word.startswith(TABLE):
                verify.query(url, f"ALTER TABLE essay_results SET ({word[len(TABLE):]})")
        counts = []
        figures = drain.timed(program, url, self.servers, self.span, counting(url, counts))
        self.servers.postgres.drop_database(f"run{number}")
        return figures | {"wal_kb": counts[0] / self.options.events / 1000,
                          "checkpoints": int(counts[1])}


def ratios(runs, setting):
    return [own["events_per_second"] / default["events_per_second"]
            for own, default in zip(runs[setting], runs[DEFAULTS])]


def judge(options, runs):
    report = Report(f"{options.stream}: {options.events:,} events, {options.runs} runs",
                    ("runs", "median"))
    for setting, figures in runs.items():
        for key in ("events_per_second", "postgres_cpu_us", "wal_kb", "checkpoints"):
            report.median(setting, [run[key] for run in figures], drain.UNITS[key])
        if setting != DEFAULTS:
            report.median(f"{setting}, rate", ratios(runs, setting), "times that of the defaults")
    return report


def chosen(options):
    known = QUICK if options.quick else (*SETTINGS, ",".join(RECOMMENDED))
    return (options.settings or known)[-options.last:]


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs = 100000, 1
    servers = Servers(options, folder, cleanup, redis=options.stream == "replayed")
    untimed = streams.publish(servers, folder, options.stream, options.events)
    settings = Settings(options, servers, untimed)
    runs = {setting: [] for setting in (DEFAULTS, *chosen(options))}
    for number in range(options.runs):
        for index, setting in enumerate(runs):
            runs[setting].append(settings.measure(setting, number * len(runs) + index))
            drain.show(f"{number + 1} {setting}", runs[setting][-1])
    report = judge(options, runs)
    report.print()
    if options.json:
        report.write(options.json, runs=runs)
    return report.problems()

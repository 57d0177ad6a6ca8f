"""Latency of queries beside ingestion at full speed, and alone.

Asks for the status of batches, so many times a second whether the last was answered or not, and
counts each answer's time from the moment when it was due: a stall makes all those late that fall
into it. First the program has nothing else to do; then two workers have a backlog of spell checks
that does not run dry, one in 200 of which changes a batch that is asked for. Once without the
program's caches, so that every query goes to Postgres, and once with them as config.lua has them:
then every answer comes from the process' memory until events change it. Exits with 1 where a
request fails or the backlog runs dry; a target that is missed is only said."""
import contextlib
import dataclasses

from . import stream
from .backlog import ENV, WARM_EVENTS, WARM_SECONDS, WORKERS, Backlog
from .queries import Queries, finish
from .report import Report
from .servers import Servers

CACHES = {False: {"CACHE_ENABLED": "false"}, True: {}}  # as config.lua has them
MOST_P99_MS = {"not cached": 20, "cached": 8}  # beside events
TRIES = 3  # to have a backlog that lasts
PILED_UP_MS = 100  # at p50 without events: no query takes so long, so that it waited for others
COMPUTED = "ras_cache_misses_total"
PERCENTILES = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms", "longest": "longest_ms"}


def add_options(parser):
    parser.add_argument("--rate", type=float, default=500, help="requests a second, with caches")
    parser.add_argument("--uncached-rate", type=float, default=100,
                        help="and without: each of them takes Postgres some two milliseconds")
    parser.add_argument("--seconds", type=int, default=30, help="of each of the four measurements")
    parser.add_argument("--quick", action="store_true", help="10 seconds")


@dataclasses.dataclass(frozen=True)
class Load:
    rate: float  # requests a second
    seconds: int
    caches: bool  # has the program that is asked any?


class Beside:
    """What is seen of one program, `seen`: idle and busy as queries.finish has them."""

    def __init__(self, options, folder, cleanup, load):
        self.load = load
        servers = Servers(options, folder, cleanup, redis=True, partitions=WORKERS)
        self.program, url = servers.program("ras_beside", ENV | CACHES[load.caches])
        self.queries = Queries(options.build, folder, stream.status_paths(), ["}"])
        self.backlog = Backlog(servers, self.program, url)
        self.seen = {}
        self.events_per_second = 0
        self.left = 0  # of the backlog in the end

    def ask(self, seconds):
        """As queries.finish has it, and how many answers came from no cache."""
        before = self.program.metric(COMPUTED)
        seen = finish(self.queries.start(self.program.port, seconds, self.load.rate))
        return seen | {"computed": int(self.program.metric(COMPUTED) - before)}

    def idle(self):
        self.ask(WARM_SECONDS)
        self.seen["idle"] = self.ask(self.load.seconds)

    def busy(self):
        self.backlog.refill(WARM_EVENTS)
        self.backlog.warm_up(self.queries, self.load.rate)
        for _ in range(TRIES):
            self.ask_beside_events()
            if self.left > 0:
                return
            self.backlog.fastest *= 2  # all that a backlog that ran dry says: it was too small

    def ask_beside_events(self):
        self.backlog.refill(self.backlog.wanted(WARM_SECONDS + self.load.seconds))
        self.ask(WARM_SECONDS)
        before = self.backlog.left()
        self.seen["busy"] = self.ask(self.load.seconds)
        self.left = self.backlog.left()
        self.events_per_second = (before - self.left) / self.seen["busy"]["duration_us"] * 1e6


def measure(options, folder, load):
    folder.mkdir()
    with contextlib.ExitStack() as cleanup:
        it = Beside(options, folder, cleanup, load)
        it.idle()
        it.busy()
    return it


def add_queries(report, name, it):
    idle, busy = it.seen["idle"], it.seen["busy"]
    for percentile, key in PERCENTILES.items():
        report.compare(f"{name}: {percentile}", busy[key], "ms", idle[key])
    report.at_most(f"{name}: p99 beside events", busy["p99_ms"], "ms", MOST_P99_MS[name])
    report.add(f"{name}: requests answered", busy["good"], without=idle["good"])
    if it.load.caches:
        report.add(f"{name}: of them computed", busy["computed"], without=idle["computed"])
    report.none(f"{name}: requests that failed", *(
        sum(seen[what] for what in ("failed", "mixed", "broken")) for seen in (busy, idle)))
    report.notes += [seen["example"] for seen in (idle, busy) if seen["example"]]
    if idle["p50_ms"] > PILED_UP_MS:
        report.notes.append(f"{name}: {it.load.rate:g} requests/s are too many even without "
                            "events, so that the ratio says nothing")


def judge(options, found):
    report = Report(f"requests for {options.seconds} s, latencies from when each was due",
                    ("idle", "beside events"))
    for name, it in found.items():
        report.add(f"{name}: requests/s", it.load.rate, without=it.load.rate)
        add_queries(report, name, it)
        report.add(f"{name}: beside", it.events_per_second, "events/s")
        report.none(f"{name}: backlogs that ran dry", int(it.left <= 0))
    return report


def run(options, folder, _):
    if options.quick:
        options.seconds = 10
    loads = {"not cached": Load(options.uncached_rate, options.seconds, caches=False),
             "cached": Load(options.rate, options.seconds, caches=True)}
    found = {name: measure(options, folder / name.replace(" ", "-"), load)
             for name, load in loads.items()}
    report = judge(options, found)
    report.print()
    if options.json:
        report.write(options.json, seen={name: it.seen for name, it in found.items()})
    return report.problems()

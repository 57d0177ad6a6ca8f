"""Effect of the batch size on throughput and latency.

A batch is what came while the last transaction was under way, at most `ingest.batch_max_events`.
With a backlog it is always full, so that draining one shows what a fixed size would give: for each
size as the most. Beside 1,000 events a second it shows how soon an answer tells of an event, how large
the batches make themselves, and for how long on average an event would wait for a fixed size to be
full."""
import contextlib
import statistics

from . import drain, fresh, streams
from .report import Report, percentile
from .servers import Servers, committed

SIZES = (100, 500, 1000, 2000, 4000, 8000)
QUICK = (100, 4000)
COMMITS = "ras_db_transaction_duration_seconds_count"


def add_options(parser):
    parser.add_argument("--events", type=int, default=200000, help="of the backlog")
    parser.add_argument("--results", type=int, default=300, help="that are waited for")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--quick", action="store_true",
                        help="60,000 events, 50 results, one run, two sizes")


def most(size):
    """The edit of config.lua."""
    return "batch_max_events = 4000", f"batch_max_events = {size}"


@contextlib.contextmanager
def counting(program, url, figures):
    """Puts into figures how many events a transaction had meanwhile."""
    def now():
        return committed(url), program.metric(COMMITS)

    before = now()
    yield
    events, commits = (after - then for after, then in zip(now(), before))
    figures["batch_events"] = events / max(1, commits)


def backlog(servers, events, size, number):
    program, url = servers.program(f"run{size}_{number}", {}, most(size))
    figures = {}
    return drain.timed(program, url, servers, (0, events),
                       counting(program, url, figures)) | figures


def drains(options, folder):
    """{size: [figures of a run]}, the sizes in turn."""
    runs = {size: [] for size in options.sizes}
    with contextlib.ExitStack() as cleanup:
        servers = Servers(options, folder, cleanup, redis=False)
        streams.publish(servers, folder, "spell", options.events)
        for number in range(options.runs):
            for size in options.sizes:
                runs[size].append(backlog(servers, options.events, size, number))
                drain.show(f"{number + 1} at most {size}", runs[size][-1])
    return runs


def latency(options, folder, size):
    """(milliseconds that each result took, events of a transaction)"""
    folder.mkdir()
    with contextlib.ExitStack() as cleanup:
        program, servers = fresh.start(options, folder, cleanup, most(size))
        figures = {}
        with counting(program, servers.postgres.url("ras_fresh"), figures):
            waits_ms, _ = fresh.measure(options, program, servers)
    return waits_ms, figures["batch_events"]


def add_size(report, size, runs, waits_ms, batch_events):
    report.median(f"{size}: drained", [run["events_per_second"] for run in runs], "events/s")
    report.median(f"{size}: drained", [run["own_cpu_us"] for run in runs],
                  drain.UNITS["own_cpu_us"])
    report.median(f"{size}: resident at most", [run["resident_mb"] for run in runs], "MB")
    report.median(f"{size}: of a transaction, drained", [run["batch_events"] for run in runs],
                  drain.UNITS["batch_events"])
    at_rate = f"at {fresh.RATE:,} events/s"
    report.add(f"{size}: of a transaction, {at_rate}", batch_events, drain.UNITS["batch_events"])
    report.add(f"{size}: published to answered, p50", statistics.median(waits_ms), "ms")
    report.add(f"{size}: published to answered, p99", percentile(waits_ms, 99), "ms")
    report.add(f"{size}: to be full would take on average", size / 2 / fresh.RATE * 1000,
               f"ms {at_rate}")


def run(options, folder, _):
    if options.quick:
        options.events, options.results, options.runs, options.sizes = 60000, 50, 1, QUICK
    runs = drains(options, folder)
    waits = {size: latency(options, folder / f"fresh{size}", size) for size in options.sizes}
    report = Report(f"at most so many events in a batch: {options.events:,} drained, "
                    f"{options.runs} runs; {options.results} results", ("runs", "median"))
    for size in options.sizes:
        add_size(report, size, runs[size], *waits[size])
    report.print()
    if options.json:
        report.write(options.json, runs=runs, waits_ms=waits)
    return report.problems()

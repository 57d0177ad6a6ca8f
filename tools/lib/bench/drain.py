"""How fast a backlog drains from Kafka into committed rows.

Publishes a stream, starts the program on an empty database, and times it from its first committed
offset of what is timed to its last. In turn with it tools/bare writes the same rows into the same
tables with as many connections, merged and encoded before it is timed, as fast as Postgres takes them,
and event by event as ordinary services do (single); tools/consume only reads the records. Prints each
run, then the medians and their spread, and the program's rate as a share of theirs.

Streams: spell (all new, a row each), again (later results of the same essays: updates), lifecycle
(whole lives of batches, as in the samples, thousands interleaved), lifecycle-new (the same events,
none of what another has named: inserts only), first-release (whole lives by the contracts' first
release), hot (few essays, many results), replayed (all of it seen before, and known to Redis)."""
import contextlib
import pathlib
import statistics
import time

import stack

from . import bare, streams
from .report import Report
from .servers import Servers, committing

UNITS = {"events_per_second": "events/s", "own_cpu_us": "µs of its own CPU an event",
         "postgres_cpu_us": "µs of Postgres' CPU an event", "kafka_cpu_us": "µs of Kafka's CPU an event",
         "resident_mb": "MB resident at most",
         "instructions": "instructions of Postgres an event", "wal_kb": "kB of log an event",
         "checkpoints": "checkpoints", "batch_events": "events"}
LEAST_OF_BARE = {("spell", 1): 1.0, ("lifecycle", 1): 0.8, ("spell", 2): 0.75}  # by stream and workers
MOST_CPU_US = {"spell": 3}
MOST_OF_POSTGRES = 0.25


def add_options(parser):
    parser.add_argument("--stream", choices=streams.STREAMS, default="spell")
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--partitions", type=int,
                        help="of each topic (default: 3 for one worker, else 2 for each: all have as many)")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without bare, single and consume")
    parser.add_argument("--redis", action="store_true", help="with the memory of seen events")
    parser.add_argument("--quick", action="store_true", help="60,000 events, one run")


def even_partitions(workers):
    """So many of each topic that no worker has more than another."""
    return 2 * workers if workers > 1 else 3


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / 100


def most_resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0


def timed(program, url, servers, span, watch=contextlib.nullcontext()):
    """Starts the program and gives its figures from its first committed event after the first of
    `span` (untimed, last) to the last; meanwhile the context `watch` is entered."""
    with committing(url) as now:
        return measured(program, now, servers, span, watch)


def measured(subject, now, servers, span, watch=contextlib.nullcontext()):
    """timed(), of whatever has start(), pids() and stop(); now() is how many events are committed."""
    untimed, last = span
    subject.start()
    stack.wait_until("the first commit", lambda: now() > untimed, 600, 0.01)
    pids = {"own_cpu_us": subject.pids(), "postgres_cpu_us": servers.postgres.pids(),
            "kafka_cpu_us": servers.kafka.pids()}
    with watch:
        before, started = now(), time.monotonic()
        spent = {key: cpu_seconds(of) for key, of in pids.items()}
        stack.wait_until("the last commit", lambda: now() >= last, 600, 0.01)
        seconds, events = time.monotonic() - started, last - before
        figures = {"events_per_second": events / seconds,
                   **{key: (cpu_seconds(of) - spent[key]) / events * 1e6 for key, of in pids.items()},
                   "resident_mb": sum(map(most_resident_mb, pids["own_cpu_us"]))}
    subject.stop()
    return figures


def drain(options, servers, untimed, number):
    program, url = servers.program(f"run{number}", {"INGEST_WORKERS": str(options.workers)})
    return timed(program, url, servers, (untimed, untimed + options.events))


def others(options, servers, folder):
    """What the program is compared with."""
    found = bare.Bare(servers, options, bare_files(options, folder)).contestants()
    if options.stream == "spell":
        found["consume"] = lambda number: bare.consume(servers, options.events)
    return found


def show(title, figures):
    print(f"{title:16}", ", ".join(f"{value:,.1f} {UNITS[key]}" for key, value in figures.items()),
          flush=True)


def shares(runs, key, of, of_key=None):
    """The program's figure divided by another's of the same run."""
    return [own[key] / other[of_key or key] for own, other in zip(runs["aggregator"], of)]


def judge(options, runs):
    report = Report(f"{options.stream}: {options.events:,} events, {options.workers} workers, "
                    f"{options.partitions} partitions, {options.runs} runs", ("runs", "median"))
    for name, figures in runs.items():
        for key, unit in UNITS.items():
            if key in figures[0]:
                report.median(name, [run[key] for run in figures], unit)
    if "bare" in runs:
        report.median("rate, of bare", shares(runs, "events_per_second", runs["bare"]), "times",
                      LEAST_OF_BARE.get((options.stream, options.workers)))
    for name in ("single", "consume"):
        if name in runs:
            report.median(f"rate, of {name}", shares(runs, "events_per_second", runs[name]),
                          "times")
    own, name = runs["aggregator"], "own CPU, of Postgres'"
    report.at_most(name, statistics.median(shares(runs, "own_cpu_us", own, "postgres_cpu_us")),
                   "times", MOST_OF_POSTGRES)
    if options.stream in MOST_CPU_US:
        report.at_most("own CPU", statistics.median(run["own_cpu_us"] for run in own),
                       "µs an event", MOST_CPU_US[options.stream])
    return report


def bare_files(options, folder):
    """What a replay repeats is nothing to write: its rows are those of the first file."""
    files = streams.files(folder)
    return files[:1] if options.stream == "replayed" else files


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs = 60000, 1
    options.partitions = options.partitions or even_partitions(options.workers)
    servers = Servers(options, folder, cleanup, options.redis or options.stream == "replayed",
                      options.partitions)
    untimed = streams.publish(servers, folder, options.stream, options.events)
    contestants = {"aggregator": lambda number: drain(options, servers, untimed, number)}
    if not options.alone:
        contestants |= others(options, servers, folder)
    runs = {name: [] for name in contestants}
    for number in range(options.runs):
        for name, measure in contestants.items():
            runs[name].append(measure(number))
            show(f"{number + 1} {name}", runs[name][-1])
    report = judge(options, runs)
    report.print()
    if options.json:
        report.write(options.json, runs=runs)
    return report.problems()

"""Footprint of the program: memory, time to start, and wake-ups when idle.

Starts it several times with all that it needs there, and times each from its execution to the first
200 of /readyz, with one worker (members of a group that join one after the other wait for Kafka's
protocol); then lets it drain a backlog with two workers while queries run; then counts what wakes up
in it while nothing happens."""
import pathlib
import statistics
import time

import stack
from soak import samples

from . import drain, stream
from .queries import Queries, finish
from .report import Report
from .servers import Servers, committed

WORKERS = 2
MOST_MB = 80
MOST_READY_MS = 150
LOAD_S = 10
READY_STEP_S = 0.002
QUIET_S = 31  # a worker without records for longer beats no more


def add_options(parser):
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--idle", type=int, default=20, help="seconds to look at it idle")
    parser.add_argument("--events", type=int, default=600000, help="of the backlog")
    parser.add_argument("--quick", action="store_true",
                        help="3 starts, 5 idle seconds, 100,000 events")


def ready_ms(program):
    began = time.monotonic()
    program.start(wait=False)
    stack.wait_until("the program to be ready", lambda: program.get("/readyz")[0] == 200,
                     interval_s=READY_STEP_S)
    return (time.monotonic() - began) * 1000


def starts_ms(program, count):
    found = []
    for _ in range(count):
        found.append(ready_ms(program))
        program.stop()
    return found


def voluntary_switches(pid):
    """How often a thread of it has gone to sleep so far: it woke up as often."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += next(int(line.split()[1]) for line in status.read_text().splitlines()
                      if line.startswith("voluntary_ctxt_switches"))
    return total


def idle(program, seconds):
    """(wake-ups a second, share of one processor in percent)."""
    pid = program.process.pid
    before, cpu = voluntary_switches(pid), drain.cpu_seconds([pid])
    time.sleep(seconds)
    return ((voluntary_switches(pid) - before) / seconds,
            (drain.cpu_seconds([pid]) - cpu) / seconds * 100)


def load(options, servers, program, url, events):
    """Drains the backlog beside queries; (most MB resident, MB when all is done)."""
    events.write_backlog(servers.folder / "backlog.jsonl", options.events)
    servers.feed(servers.folder / "backlog.jsonl")
    program.start()
    asking = Queries(options.build, servers.folder, stream.paths(), ["}"]).start(program.port,
                                                                                LOAD_S)
    seen = finish(asking)
    stack.wait_until("the end of the backlog",
                     lambda: committed(url) >= events.results + stream.BATCHES, 600)
    if seen["failed"] or seen["mixed"] or seen["broken"]:
        raise AssertionError(f"queries failed under load: {seen}")
    pid = program.process.pid
    return drain.most_resident_mb(pid), samples.take(program).memory_mb


def run(options, folder, cleanup):
    if options.quick:
        options.starts, options.idle, options.events = 3, 5, 100000
    servers = Servers(options, folder, cleanup, redis=True)
    program, url = servers.program("ras_footprint", {"INGEST_WORKERS": str(WORKERS)})
    events = stream.begin(servers, program, url)
    at_rest = samples.take(program).memory_mb
    program.stop()
    starts = starts_ms(servers.program("ras_starts", {"INGEST_WORKERS": "1"})[0], options.starts)
    most_mb, left_mb = load(options, servers, program, url, events)
    time.sleep(QUIET_S)
    wakeups, cpu_percent = idle(program, options.idle)
    report = Report(f"{WORKERS} workers, 8 Lua states for requests", ("", ""))
    report.at_most("ready after start, median", statistics.median(starts), "ms", MOST_READY_MS)
    report.add("ready after start, longest", max(starts), "ms")
    report.add("resident with little to do", at_rest, "MB")
    report.at_most("resident at full load, at most", most_mb, "MB", MOST_MB)
    report.add("resident after it", left_mb, "MB")
    report.add("idle: wake-ups a second, all threads", wakeups)
    report.add("idle: share of one processor", cpu_percent, "%")
    report.print()
    if options.json:
        report.write(options.json, starts_ms=starts)
    return report.problems()

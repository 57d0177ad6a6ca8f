"""Where the time goes while a backlog drains: flame graphs, system calls and allocations.

Publishes a stream, with Redis' memory of seen events, and drains it three times into empty
databases: perf samples the program, Postgres' processes and Redis and their stacks are drawn, one
graph each; their system calls are counted; and the program's allocations by malloc and its kin (not
those of Lua states, whose heaps are LuaJIT's own), thread by thread. Needs root, for perf."""
import contextlib
import os
import pathlib
import sys

from . import drain, perf, stacks, streams
from .report import Report
from .servers import Servers

MOST_SYMBOLS, MOST_THREADS = 15, 8
PER = 1000  # events: how often something was called meanwhile
LEAST_CALLS = 1  # to be shown
UNIT = f"for {PER:,} events"


def add_options(parser):
    parser.add_argument("--stream", choices=streams.STREAMS, default="spell")
    parser.add_argument("--events", type=int, default=400000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--graphs", default="build/flames/", metavar="PREFIX",
                        help="of the graphs' paths: PREFIXaggregator.svg, …postgres.svg, "
                             "…redis.svg (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="100,000 events")


def processes(program, servers):
    """{name: its process ids}"""
    return {"aggregator": [program.process.pid],
            "postgres": servers.postgres.pids()[1:],
            "redis": [servers.redis.process.pid]}


class Drains:
    def __init__(self, options, servers, untimed):
        self.options, self.servers = options, servers
        self.span = (untimed, untimed + options.events)

    def watched(self, name, watch):
        """The figures of one, while the context watch(processes) is entered."""
        program, url = self.servers.program(name, {"INGEST_WORKERS": str(self.options.workers)})

        @contextlib.contextmanager
        def watching():
            with watch(processes(program, self.servers)):
                yield

        return drain.timed(program, url, self.servers, self.span, watching())


def profile(drains, folder, report):
    """Draws the graphs, and lists the symbols with most of the time."""
    options, data = drains.options, folder / "perf.data"
    seen = {}

    @contextlib.contextmanager
    def watch(found):
        seen.update(found)
        with perf.sampling(data, [pid for pids in found.values() for pid in pids]):
            yield

    figures = drains.watched("profile", watch)
    drain.show("profile", figures)
    found = stacks.collapse(perf.samples(data))
    total = sum(sum(found[pid].values()) for pids in seen.values() for pid in pids)
    for name, pids in seen.items():
        counts = stacks.together(found[pid] for pid in pids)
        graph = pathlib.Path(f"{options.graphs}{name}.svg")
        graph.parent.mkdir(parents=True, exist_ok=True)
        stacks.draw(counts, f"{name}: {options.stream}, workers: {options.workers}", graph)
        report.add(f"{name}: of the processor time of the three", counts.total() / total * 100, "%")
        for thread, count in stacks.by_thread(counts).most_common(MOST_THREADS):
            report.add(f"{name}: thread {thread}", count / counts.total() * 100, "%")
        for symbol, count in stacks.own_time(counts).most_common(MOST_SYMBOLS):
            report.add(f"{name}: {symbol}", count / counts.total() * 100, "%")


def count(drains, name, events, names):
    """{name of process: {thread's name: {event: how often for PER events of the stream}}}"""
    counts = {}

    @contextlib.contextmanager
    def watch(found):
        with contextlib.ExitStack() as cleanup:
            for own in names:
                counts[own] = cleanup.enter_context(perf.counting(events, found[own]))
            yield

    drain.show(name, drains.watched(name, watch))
    share = PER / drains.options.events
    return {own: {thread: {event: times * share for event, times in row.items()}
                  for thread, row in rows.items()} for own, rows in counts.items()}


def system_calls(drains, report):
    counts = count(drains, "system_calls", perf.SYSTEM_CALLS, ("aggregator", "postgres", "redis"))
    for name, threads in counts.items():
        for event in perf.SYSTEM_CALLS:
            calls = sum(row.get(event, 0) for row in threads.values())
            if calls >= LEAST_CALLS:
                report.add(f"{name}: {perf.short(event)}()", calls, UNIT)


def allocations(drains, report):
    with perf.probes("libc.so.6", perf.ALLOCATORS) as events:
        counts = count(drains, "allocations", events, ("aggregator",))["aggregator"]
    for thread, row in counts.items():
        for event, times in row.items():
            if times >= LEAST_CALLS:
                report.add(f"thread {thread}: {perf.short(event)}()", times, UNIT)


def run(options, folder, cleanup):
    if os.geteuid() != 0:
        sys.exit("flame needs root, for perf")
    if options.quick:
        options.events = 100000
    servers = Servers(options, folder, cleanup, redis=True,
                      partitions=drain.even_partitions(options.workers))
    drains = Drains(options, servers,
                    streams.publish(servers, folder, options.stream, options.events))
    report = Report(f"{options.stream}: {options.events:,} events, {options.workers} workers; "
                    f"graphs {options.graphs}*.svg", ("", ""))
    profile(drains, folder, report)
    system_calls(drains, report)
    allocations(drains, report)
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()

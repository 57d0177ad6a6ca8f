"""How ingestion scales: with workers, with processes of one group, and with partitions.

Publishes spell checks to topics with so many partitions, and drains them into empty databases by so
many workers in so many processes that share the database and the group: every combination that has a
partition for each worker, in turn, several times. Prints the rate as a share of that by one worker
in one process over three partitions in the same turn.

Kafka waits some seconds for a group's members before it gives any of them a partition: the
backlog is shared from the beginning, and not drained by whoever comes first."""
import itertools
import typing

from . import drain, streams
from .report import Report
from .servers import Servers

PARTITIONS, PROCESSES, WORKERS = (1, 3, 12), (1, 2), (1, 2)
JOIN_MS = 3000  # that Kafka waits for the members of a group


class Case(typing.NamedTuple):
    partitions: int
    processes: int
    workers: int  # of each process

    def __str__(self):
        return (f"{plural(self.partitions, 'partition')}, {plural(self.processes, 'process')}, "
                f"{plural(self.workers, 'worker')}")


BASE = Case(partitions=3, processes=1, workers=1)


def plural(count, noun):
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def add_options(parser):
    parser.add_argument("--events", type=int, default=300000)
    parser.add_argument("--runs", type=int, default=3)
    for name, counts in (("partitions", PARTITIONS), ("processes", PROCESSES),
                         ("workers", WORKERS)):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=counts,
                            help=f"(default: {' '.join(map(str, counts))})")
    parser.add_argument("--quick", action="store_true", help="60,000 events, one run")


class Fleet:
    """Several processes of the program on one database."""

    def __init__(self, servers, name, case):
        env = {"INGEST_WORKERS": str(case.workers)}
        first, self.url = servers.program(name, env)
        self.members = [first, *(servers.process(f"{name}_{number}", self.url, env)
                                 for number in range(1, case.processes))]

    def start(self):
        for member in self.members:
            member.start(wait=False)

    def pids(self):
        return [pid for member in self.members for pid in member.pids()]

    def stop(self):
        for member in self.members:
            member.stop()


class Backlog:
    """The events in topics with so many partitions, between servers that run only while one drains
    them."""

    def __init__(self, options, folder, cleanup, partitions):
        folder.mkdir()
        self.servers = Servers(options, folder, cleanup, redis=False, partitions=partitions,
                               kafka_properties={"group.initial.rebalance.delay.ms": JOIN_MS})
        self.events = options.events
        streams.publish(self.servers, folder, "spell", self.events)
        self.stop()

    def stop(self):
        self.servers.kafka.stop()
        self.servers.postgres.stop()

    def drain(self, case, name):
        self.servers.postgres.start()
        self.servers.kafka.start()
        fleet = Fleet(self.servers, name, case)
        figures = drain.timed(fleet, fleet.url, self.servers, (0, self.events))
        self.servers.postgres.drop_database(name)
        self.stop()
        return figures


def chosen(options):
    found = [Case(*counts) for counts in
             itertools.product(options.partitions, options.processes, options.workers)]
    found = [case for case in found if case.processes * case.workers <= case.partitions]
    return [BASE, *(case for case in found if case != BASE)]


def judge(options, runs):
    report = Report(f"spell: {options.events:,} events, {options.runs} runs; times: of {BASE}",
                    ("runs", "median"))
    for case, figures in runs.items():
        for key in figures[0]:
            report.median(str(case), [run[key] for run in figures], drain.UNITS[key])
        if case != BASE:
            report.median(f"{case}: rate", [own["events_per_second"] / base["events_per_second"]
                                            for own, base in zip(figures, runs[BASE])], "times")
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs = 60000, 1
    cases = chosen(options)
    backlogs = {count: Backlog(options, folder / f"partitions{count}", cleanup, count)
                for count in sorted({case.partitions for case in cases})}
    runs = {case: [] for case in cases}
    for number in range(options.runs):
        for index, case in enumerate(cases):
            name = f"run{number * len(cases) + index}"
            runs[case].append(backlogs[case.partitions].drain(case, name))
            drain.show(f"{number + 1} {case}", runs[case][-1])
    report = judge(options, runs)
    report.print()
    if options.json:
        report.write(options.json, runs={str(case): figures for case, figures in runs.items()})
    return report.problems()

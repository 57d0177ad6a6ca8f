"""The service on Citus beside one plain Postgres, on the same cores.

A stream drains into a plain Postgres by one process with two workers, and in turn into a Citus of a
coordinator and two nodes by a process at each node, for each number of shards. Then
each is asked for the status of batches, not cached, one at a time. Prints the rates, the CPU of all
servers of Postgres for an event and for a response, and their share of the plain one's. Needs the
extension: tools/citus."""
import contextlib
import pathlib
import random
import statistics
import time

import citus
import psycopg2
import stack
from crashtest import verify

from . import drain, streams
from .report import Report
from .servers import Servers, committing

NODES = 2
LEAST_RATE = 0.9  # of the plain one's
IDLE_S = 5
ASK_S = 0.2       # between two questions of the bench, each of which costs a cluster 5 ms of CPU
MOST_CPU = 4      # of a response, as a multiple of the plain one's
UNCACHED = {"CACHE_ENABLED": "false", "OUTBOX_ENABLED": "false"}
MARKS = "SELECT count(*) FROM aggregator_state.reaction_marks"
BATCHES = "SELECT batch_id FROM batch_results WHERE registration_at IS NOT NULL ORDER BY batch_id"


def add_options(parser):
    parser.add_argument("--stream", choices=streams.STREAMS, default="lifecycle")
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--responses", type=int, default=300, help="that are asked for")
    parser.add_argument("--shards", type=int, nargs="+", default=(2, 4, 8, 32))
    parser.add_argument("--workers", type=int, default=1, help="of the process at each node; plain has two in all")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="20,000 events, 100 responses, one run")


def postgres_seconds(nodes):
    """CPU of the servers and of all backends that they have had."""
    total = 0
    for node in nodes:
        total += drain.cpu_seconds(node.pids())
        stat = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        total += (int(stat[13]) + int(stat[14])) / 100  # of those that have ended
    return total


class Side:
    """Programs on one database, whose servers are `nodes`."""

    def __init__(self, nodes, url, programs):
        self.nodes, self.url, self.programs = nodes, url, programs

    def drained(self, untimed, last):
        with committing(self.url) as now:
            for program in self.programs:
                program.start()
            stack.wait_until("the first commit", lambda: now() > untimed, 600, ASK_S)
            before, began, cpu = now(), time.monotonic(), postgres_seconds(self.nodes)
            own = sum(drain.cpu_seconds(program.pids()) for program in self.programs)
            stack.wait_until("the last commit", lambda: now() >= last, 600, ASK_S)
            events, seconds = last - before, time.monotonic() - began
            # Reactions are part of an event's cost, whether they run beside the commits or behind them.
            self.wait_reactions()
            own = sum(drain.cpu_seconds(program.pids()) for program in self.programs) - own
            return {"events_per_second": events / seconds, "own_cpu_us": own / events * 1e6,
                    "postgres_cpu_us": (postgres_seconds(self.nodes) - cpu) / events * 1e6}

    def wait_reactions(self):
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True

            def none_is_left():
                cursor.execute(MARKS)
                return cursor.fetchone() == (0,)

            stack.wait_until("the last reaction", none_is_left, 600, ASK_S)

    def asked(self, responses):
        batches = [row[0] for row in verify.query(self.url, BATCHES)]
        chosen = random.Random(1).choices(batches, k=responses)
        program = self.programs[0]
        for batch in chosen[:20]:  # plans and connections
            assert program.status_of(batch)
        self.wait_reactions()
        citus.execute(self.url, "VACUUM ANALYZE")  # before autovacuum does it beside the responses
        idle = self.idle_share()
        cpu, took = postgres_seconds(self.nodes), []
        for batch in chosen:
            began = time.monotonic()
            assert program.status_of(batch)
            took.append(time.monotonic() - began)
        used = postgres_seconds(self.nodes) - cpu - idle * sum(took)
        return {"response_cpu_ms": used / responses * 1000, "response_ms": statistics.median(took) * 1000}

    def idle_share(self):
        """The CPU of Postgres in a second without requests: of Citus' own processes, and of the programs'
        looks at their tables."""
        cpu = postgres_seconds(self.nodes)
        time.sleep(IDLE_S)
        return (postgres_seconds(self.nodes) - cpu) / IDLE_S


@contextlib.contextmanager
def plain(servers, number):
    program, url = servers.program(f"plain{number}", UNCACHED | {"INGEST_WORKERS": "2"})
    yield Side([servers.postgres], url, [program])
    program.stop()


@contextlib.contextmanager
def spread(servers, cluster, shards, number, workers=1):
    name = f"citus{shards}_{number}"
    urls = cluster.join(cluster.create_database(name), shards)
    servers.process(f"{name}_migrate", urls[0], UNCACHED).command("migrate")
    programs = [servers.process(f"{name}_{node}", urls[node],
                                UNCACHED | {"SERVICE_NAME": f"{name}_{node}", "INGEST_WORKERS": str(workers)})
                for node in range(1, NODES + 1)]
    yield Side(cluster.nodes, urls[0], programs)
    for program in programs:
        program.stop()


def measure(side, untimed, options):
    return side.drained(untimed, untimed + options.events) | side.asked(options.responses)


def show(title, figures):
    print(f"{title:12} {figures['events_per_second']:,.0f} events/s; CPU an event: own "
          f"{figures['own_cpu_us']:.1f} µs, Postgres {figures['postgres_cpu_us']:.1f} µs; a response "
          f"{figures['response_ms']:.2f} ms, CPU of Postgres {figures['response_cpu_ms']:.2f} ms",
          flush=True)


def judge(options, runs):
    report = Report(f"{options.stream}: {options.events:,} events, Citus with {NODES} nodes, "
                    f"{options.workers} workers each, {options.runs} runs", ("runs", "median"))
    for shards in options.shards:
        pairs = list(zip(runs[shards], runs["plain"]))
        for key, title in (("events_per_second", "rate"), ("postgres_cpu_us", "CPU of an event"),
                           ("response_cpu_ms", "CPU of a response"), ("response_ms", "time of a response")):
            ratios = [own[key] / other[key] for own, other in pairs]
            report.median(f"{shards} shards: {title}, of plain", ratios, "times",
                          LEAST_RATE if title == "rate" else None)
    best = min(options.shards, key=lambda shards: runs[shards][0]["response_cpu_ms"])
    report.at_most(f"{best} shards: CPU of a response", statistics.median(
        own["response_cpu_ms"] / other["response_cpu_ms"]
        for own, other in zip(runs[best], runs["plain"])), "times plain", MOST_CPU)
    return report


def run(options, folder, cleanup):
    if not citus.installed():
        print(citus.MISSING)
        return []
    if options.quick:
        options.events, options.responses, options.runs = 20000, 100, 1
    servers = Servers(options, folder, cleanup, redis=False, postgres_settings=("max_connections=300",))
    cluster = citus.Cluster(folder / "citus", cleanup, NODES, citus.SETTINGS)
    untimed = streams.publish(servers, folder, options.stream, options.events)
    contestants = {"plain": lambda number: plain(servers, number)} | {
        shards: lambda number, shards=shards: spread(servers, cluster, shards, number, options.workers)
        for shards in options.shards}
    runs = {name: [] for name in contestants}
    for number in range(options.runs):
        for name, begin in contestants.items():
            with begin(number) as side:
                runs[name].append(measure(side, untimed, options))
            show(f"{number + 1} {name}", runs[name][-1])
    report = judge(options, runs)
    report.print()
    if options.json:
        report.write(options.json, runs={str(name): found for name, found in runs.items()})
    return report.problems()

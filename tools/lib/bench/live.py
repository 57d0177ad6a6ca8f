"""Live streams: memory of idle readers, time from a commit to its event, ingestion beside readers.

Opens streams of the batches' status, as many as --readers, and looks at the program's memory. Then
results come one after the other, each timed from the commit of its transaction to the event at one
reader. Then a backlog drains with --watching readers of the batches and without, in turn: one event
in 80 of it changes a batch that is read. In the end each reader must have the answer that there is.
Exits with 1 where a stream ends or a reader has an older answer; a target that is missed is only
said."""
import contextlib
import statistics
import time

import spell_results
import stack
from soak import samples

from . import drain, stream
from .fresh import PATIENCE_S, PAUSE_S, Probe
from .live_readers import allow_descriptors, reading
from .reactions import asking
from .report import Report, percentile
from .servers import Servers, committing

MOST_READERS_MB, MOST_P50_MS, LEAST_OF_WITHOUT = 20, 5, 0.9
LEAST_CHANGES = 100  # a second, beside which ingestion is measured
CHANGED_EVERY = 80  # events of a backlog
WARM_READERS = 100
ENV = {"INGEST_WORKERS": "1", "KAFKA_SESSION_TIMEOUT_MS": "300000",
       "AGGREGATOR_HTTP_MAX_CONNECTIONS": "10000", "AGGREGATOR_HTTP_MAX_LIVE_READERS": "10000"}
COMMITTED_AT = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 " \
    "FROM essay_results WHERE essay_id = %s"
CHANGES = ("with readers", "changes_per_second")  # has a target
EVENTS, ANSWERS = "ras_http_live_events_total", "ras_http_live_answers_total"


def add_options(parser):
    parser.add_argument("--readers", type=int, default=5000, help="that are idle")
    parser.add_argument("--watching", type=int, default=1000, help="readers beside ingestion")
    parser.add_argument("--results", type=int, default=300, help="that are waited for")
    parser.add_argument("--events", type=int, default=200000, help="of each backlog")
    parser.add_argument("--runs", type=int, default=3, help="turns with readers and one without")
    parser.add_argument("--quick", action="store_true", help="60,000 events, one turn, 100 results")


def live_paths(count):
    """Of that many readers, batch by batch in turn."""
    return [f"/internal/v1/batches/{stream.batch_id(number % stream.BATCHES)}/events"
            for number in range(count)]


def memory_of_readers(program, count):
    """MB that the readers add."""
    with reading(program.port, live_paths(WARM_READERS)):
        pass
    before = samples.take(program).memory_mb
    with reading(program.port, live_paths(count)) as readers:
        if readers.ended:
            raise AssertionError(f"{readers.ended} of {count} streams have ended")
        return samples.take(program).memory_mb - before


class Timed:
    """Publishes a result and waits for the event of one reader."""

    def __init__(self, program, brokers, url):
        self.program, self.url = program, url
        self.probe = Probe(program, brokers)

    def once(self, number, reader, ask):
        """Milliseconds from the commit to the event."""
        key, value = self.probe.record(number)
        reader.came.clear()
        self.probe.producer.produce(spell_results.TOPIC, value, key)
        self.probe.producer.flush(PATIENCE_S)
        if not reader.came.wait(PATIENCE_S):
            raise AssertionError(f"no event of result {number} after {PATIENCE_S} s")
        return (reader.at - ask(COMMITTED_AT, stream.essay_id(0, 0))) * 1000

    def measure(self, results):
        """Without the first, for which connections are made."""
        waits_ms = []
        with asking(self.url) as ask, reading(self.program.port, live_paths(1)) as readers:
            reader = next(iter(readers.all.values()))
            for number in range(results + 1):
                waits_ms.append(self.once(number, reader, ask))
                time.sleep(PAUSE_S)
        return waits_ms[1:]


class Beside:
    """Backlogs with readers and without."""

    def __init__(self, options, servers, program, url, events):
        self.options, self.servers, self.program, self.url = options, servers, program, url
        self.events = events
        self.runs = {"with readers": [], "without": []}
        self.behind = self.ended = 0

    def etags(self):
        return {f"{path.rsplit('/', 1)[0]}/events":
                self.program.get(path)[2]["ETag"].strip('"').encode()
                for path in stream.status_paths()}

    def drain(self):
        """Figures of one backlog."""
        path, count = self.servers.folder / "backlog.jsonl", self.options.events
        self.events.write_backlog(path, count)
        with committing(self.url) as now:
            first = now()
            feeder = stack.feed(self.servers.build, self.servers.kafka.brokers, path, wait=False)
            stack.wait_until("the first commit", lambda: now() > first, 60, 0.01)
            before, began = now(), time.monotonic()
            cpu = drain.cpu_seconds(self.program.pids())
            sent, asked = self.program.metric(EVENTS), self.program.metric(ANSWERS)
            stack.wait_until("the last commit", lambda: now() >= first + count, 600, 0.01)
            seconds, done = time.monotonic() - began, first + count - before
            feeder.wait()
            return {"events_per_second": done / seconds,
                    "own_cpu_us": (drain.cpu_seconds(self.program.pids()) - cpu) / done * 1e6,
                    "changes_per_second": done / CHANGED_EVERY / seconds,
                    "live_events_per_second": (self.program.metric(EVENTS) - sent) / seconds,
                    "live_answers_per_second": (self.program.metric(ANSWERS) - asked) / seconds}

    def once(self, name):
        if name == "without":
            self.runs[name].append(self.drain())
            return
        with reading(self.program.port, live_paths(self.options.watching)) as readers:
            self.runs[name].append(self.drain())
            with contextlib.suppress(AssertionError, TimeoutError):
                stack.wait_until("the newest answers", lambda: not readers.behind(self.etags()), 30)
            self.behind += readers.behind(self.etags())
            self.ended += readers.ended

    def take_turns(self):
        """Each is first as often as the other."""
        self.drain()
        for number in range(self.options.runs):
            for name in sorted(self.runs, reverse=number % 2 == 0):
                self.once(name)
                print(number + 1, name, {key: round(value, 1) for key, value in
                                         self.runs[name][-1].items()}, flush=True)


def judge(options, memory_mb, waits_ms, beside):
    report = Report(f"{options.readers:,} idle readers; {options.watching:,} readers beside "
                    f"{options.events:,} events, {options.runs} turns", ("runs", "figure"))
    report.at_most(f"memory of {options.readers:,} readers", memory_mb, "MB", MOST_READERS_MB)
    report.at_most("commit to event, p50", statistics.median(waits_ms), "ms", MOST_P50_MS)
    report.add("commit to event, p99", percentile(waits_ms, 99), "ms")
    for name, figures in beside.runs.items():
        for key in figures[0]:
            if name != "without" or not key.startswith("live"):
                report.median(f"{name}: {key.replace('_', ' ')}", [run[key] for run in figures],
                              least=LEAST_CHANGES if (name, key) == CHANGES else None)
    turns = zip(beside.runs["with readers"], beside.runs["without"])
    report.median("rate, of that without", [one["events_per_second"] / other["events_per_second"]
                                            for one, other in turns], "times", LEAST_OF_WITHOUT)
    report.none("readers with an older answer in the end", beside.behind)
    report.none("streams that ended", beside.ended)
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs, options.results = 60000, 1, 100
    allow_descriptors(options.readers)
    servers = Servers(options, folder, cleanup, redis=True,
                      postgres_settings=("track_commit_timestamp=on",))
    program, url = servers.program("ras_live", ENV)
    events = stream.begin(servers, program, url)
    events.restated_every = CHANGED_EVERY
    memory_mb = memory_of_readers(program, options.readers)
    waits_ms = Timed(program, servers.kafka.brokers, url).measure(options.results)
    beside = Beside(options, servers, program, url, events)
    beside.take_turns()
    report = judge(options, memory_mb, waits_ms, beside)
    report.print()
    if options.json:
        report.write(options.json, waits_ms=waits_ms, runs=beside.runs)
    return report.problems()

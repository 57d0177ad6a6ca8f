"""Phases with and without reloads, in turn, under full load."""
import dataclasses
import json
import time

import spell_results
import stack
from crashtest import log, verify
from soak import samples

from . import commits, generations, judge, stream
from .queries import Queries, finish
from .reloads import Reloads
from .servers import Servers, committed

WORKERS = 2
MOST_PAIRS = 5  # of a phase without reloads and one with
LEAST_SECONDS = 3  # of a phase
WARM_EVENTS = 100000
WARM_SECONDS = 3
BACKLOG_FACTOR = 1.5  # of what is handled a second while it warms up
PAUSE_LINE = "other scripts"


@dataclasses.dataclass(frozen=True)
class Phase:
    began_at: float  # Unix time
    ended_at: float
    events: int
    queries: dict  # as queries.finish has them

    @property
    def events_per_second(self):
        return self.events / (self.ended_at - self.began_at)

    @property
    def queries_per_second(self):
        return self.queries["good"] / self.queries["duration_us"] * 1e6


class Run:
    def __init__(self, options, folder, cleanup, scripts):
        self.options, self.folder = options, folder
        self.servers = Servers(options, folder, cleanup, redis=True, partitions=WORKERS,
                               postgres_settings=(commits.SETTING, "max_connections=200"))
        self.program, self.url = self.servers.program(
            "ras_bench", {"INGEST_WORKERS": str(WORKERS), **scripts.env})
        self.stream = stream.Stream()
        self.queries = Queries(options.build, folder, stream.paths(),
                               [generations.tail(mark) for mark in generations.MARKS])
        self.reloads = Reloads(self.program, scripts, stream.paths())
        self.pairs = max(1, min(MOST_PAIRS, options.seconds // LEAST_SECONDS))
        self.phase_seconds = max(1, options.seconds // self.pairs)
        self.phases = {False: [], True: []}  # with reloads?
        self.held = []  # samples of the process, one after each pair and one in the end

    @property
    def published(self):
        return self.stream.results + stream.BATCHES

    def publish(self, write, *arguments):
        path = self.folder / "events.jsonl"
        write(path, *arguments)
        self.servers.feed(path)
        path.unlink()

    def start(self):
        self.program.start()
        stack.wait_until("the program to be ready", lambda: self.program.get("/readyz")[0] == 200)

    def warm_up(self):
        """How many events a second are handled while queries are answered, about."""
        self.publish(self.stream.write_registered)
        self.start()
        stack.wait_until("the batches", lambda: committed(self.url) == self.published)
        self.publish(self.stream.write_backlog, WARM_EVENTS)
        before, began = committed(self.url), time.monotonic()
        asking = self.queries.start(self.program.port, WARM_SECONDS)
        stack.wait_until("the end of the warming up", lambda: asking.poll() is not None or
                         committed(self.url) == self.published)
        events_per_second = (committed(self.url) - before) / (time.monotonic() - began)
        finish(asking)
        return events_per_second

    def prepare(self):
        """The backlog is published while the program is stopped: that takes the machine's time."""
        events_per_second = self.warm_up()
        self.program.stop()
        seconds = 2 * self.pairs * self.phase_seconds + WARM_SECONDS
        count = int(events_per_second * seconds * BACKLOG_FACTOR)
        print(f"warm: {events_per_second:,.0f} events/s; publishing {count:,}", flush=True)
        self.publish(self.stream.write_backlog, count)
        self.start()
        finish(self.queries.start(self.program.port, WARM_SECONDS))

    def phase(self, reloads):
        began_at, before = time.time(), committed(self.url)
        asking = self.queries.start(self.program.port, self.phase_seconds)
        if reloads:
            self.reloads.spread(reloads, self.phase_seconds)
        queries = finish(asking)
        phase = Phase(began_at, time.time(), committed(self.url) - before, queries)
        self.phases[reloads > 0].append(phase)
        print(f"{reloads:3} reloads in {self.phase_seconds} s: {phase.events_per_second:,.0f} "
              f"events/s, {phase.queries_per_second:,.0f} queries/s, p99 "
              f"{queries['p99_ms']:.1f} ms", flush=True)

    def take_turns(self):
        for pair in range(self.pairs):
            left = self.options.reloads - len(self.reloads.done)
            self.phase(0)
            self.phase(-(-left // (self.pairs - pair)))
            self.held.append(samples.take(self.program))

    def ends(self):
        """The log's, once the database has passed them."""
        reader = log.open_reader(self.servers.kafka.brokers)
        ends = log.end_offsets(reader, [stream.REGISTERED, spell_results.TOPIC], WORKERS)
        reader.close()
        verify.wait_drained(self.url, ends, 600)
        self.held.append(samples.take(self.program))
        return ends

    def pauses_ms(self):
        """How long each worker was kept from its events by each reload, as it says itself."""
        lines = self.program.log.read_text().splitlines()
        return [json.loads(line)["paused_us"] / 1000 for line in lines
                if f'"{PAUSE_LINE}"' in line]


def run(options, folder, cleanup, scripts):
    it = Run(options, folder, cleanup, scripts)
    it.prepare()
    it.take_turns()
    backlog = it.published - committed(it.url)
    return judge.report(it, backlog, it.ends())

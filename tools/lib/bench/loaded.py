"""Phases with and without reloads, in turn, under full load."""
import dataclasses
import json
import math
import time

import spell_results
from crashtest import log, verify
from soak import samples

from . import commits, generations, judge, stream
from .backlog import ENV, WARM_EVENTS, WORKERS, Backlog
from .queries import Queries, finish
from .reloads import Reloads
from .servers import Servers, committed

MOST_PAIRS = 5  # of a phase without reloads and one with
LEAST_SECONDS = 3  # of a phase
PAUSE_LINE = "worker switched scripts"


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
        self.program, self.url = self.servers.program("ras_bench", ENV | scripts.env)
        self.backlog = Backlog(self.servers, self.program, self.url)
        self.queries = Queries(options.build, folder, stream.paths(),
                               [generations.tail(mark) for mark in generations.MARKS])
        self.reloads = Reloads(self.program, scripts, stream.paths())
        self.pairs = max(1, min(MOST_PAIRS, options.seconds // LEAST_SECONDS))
        self.phase_seconds = max(1, options.seconds // self.pairs)
        self.phases = {False: [], True: []}  # with reloads?
        self.least_backlog = math.inf  # at the end of a phase
        self.held = []  # samples of the process, one after each pair and one in the end

    def phase(self, reloads):
        self.backlog.top_up(self.phase_seconds)
        began_at, before = time.time(), committed(self.url)
        asking = self.queries.start(self.program.port, self.phase_seconds)
        if reloads:
            self.reloads.spread(reloads, self.phase_seconds)
        queries = finish(asking)
        phase = Phase(began_at, time.time(), committed(self.url) - before, queries)
        self.phases[reloads > 0].append(phase)
        self.backlog.fastest = max(self.backlog.fastest, phase.events_per_second)
        self.least_backlog = min(self.least_backlog, self.backlog.left())
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
    it.backlog.publish(WARM_EVENTS)
    it.backlog.warm_up(it.queries)
    it.take_turns()
    return judge.report(it, it.ends())

"""Keeps a backlog of events in Kafka larger than the program can drain during a measurement."""
import signal
import time

import stack

from . import stream
from .queries import finish
from .servers import committed

WARM_EVENTS = 100000
WARM_SECONDS = 3
WORKERS = 2
# Of the program. Redis remembers seen events for a minute: all of them would fill the memory of the
# machine. While events are published it stands still, and is to stay in its group.
ENV = {"INGEST_WORKERS": str(WORKERS), "REDIS_IDEMPOTENCY_TTL_SECONDS": "60",
       "KAFKA_SESSION_TIMEOUT_MS": "300000"}
FACTOR = 1.5  # of what the fastest phase would have handled, so that none runs dry


class Backlog:
    """Of a program with this environment and an empty database, which it starts, and which gets its
    batches."""

    def __init__(self, servers, program, url):
        self.servers, self.program, self.url = servers, program, url
        self.stream = stream.begin(servers, program, url)
        stack.wait_until("the program to be ready", lambda: program.get("/readyz")[0] == 200)
        self.fastest = 0  # events a second, so far

    @property
    def published(self):
        return self.stream.results + stream.BATCHES

    def publish(self, count):
        self.servers.feed_results(self.stream.next_result() for _ in range(count))

    def left(self):
        return self.published - committed(self.url)

    def wanted(self, seconds):
        """Events, for a phase of that length."""
        return int(self.fastest * seconds * FACTOR)

    def top_up(self, seconds):
        """Between the phases, for it takes the machine's time."""
        missing = self.wanted(seconds) - self.left()
        if missing > 0:
            self.refill(max(missing, WARM_EVENTS))

    def refill(self, count):
        """The program stands still meanwhile: it may handle events as fast as they can be
        published."""
        self.program.send(signal.SIGSTOP)
        try:
            self.publish(count)
        finally:
            self.program.send(signal.SIGCONT)
        before = committed(self.url)
        stack.wait_until("the backlog to flow", lambda: committed(self.url) > before)

    def warm_up(self, queries, rate=0):
        """Every state has its connection; and how fast it goes beside queries, about."""
        before, began = committed(self.url), time.monotonic()
        asking = queries.start(self.program.port, WARM_SECONDS, rate)
        stack.wait_until("the end of the warming up",
                         lambda: asking.poll() is not None or self.left() == 0)
        self.fastest = (committed(self.url) - before) / (time.monotonic() - began)
        finish(asking)
        print(f"warm: {self.fastest:,.0f} events/s", flush=True)

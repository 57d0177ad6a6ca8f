"""Publishes at the given rate with a bounded backlog."""
import itertools
import time

import psycopg2
import stack
from crashtest import producer, verify

LOOK_EVERY_S = 0.5
# Compressed: an hour of events must fit on the disk, and copies of samples compress well.
OPTIONS = {"compression.type": "lz4", "linger.ms": 50}


class Producer(producer.Producer):
    """Counts events and does not keep them. stream: an iterator. events_per_second 0: no limit."""

    def __init__(self, brokers, stream, events_per_second, backlog, database_url):
        super().__init__(brokers, stream, events_per_second, OPTIONS)
        self.backlog, self.database_url = backlog, database_url
        self.delivered = 0
        self.owed = self.passed = 0  # of topics that are read: sent, and passed when last looked
        self.looked = 0

    def note_sent(self, event):
        self.owed += event.topic != stack.UNREAD_TOPIC

    def note_acknowledged(self, event):
        self.delivered += 1

    def send_first(self, count):
        """Before the thread begins; returns when they are consumed."""
        for event in itertools.islice(self.stream, count):
            self.send(event)
        self.client.flush()

        def consumed():
            self.look()
            return self.passed >= self.owed

        stack.wait_until("the first events", consumed)

    def wait_for_turn(self, started):
        now = time.monotonic()
        if now - self.looked > LOOK_EVERY_S:
            self.look()
            while self.owed - self.passed > self.backlog and not self.stopping.is_set():
                self.client.poll(LOOK_EVERY_S)
                self.look()
        due = started + self.sent / self.pace if self.pace else 0
        self.client.poll(max(0, due - now))

    def look(self):
        self.looked = time.monotonic()
        try:
            self.passed = sum(max(0, following) for following, _ in
                              verify.offsets(self.database_url).values())
        except psycopg2.Error:
            pass  # killed or frozen: as before

"""Publishes the stream at a constant rate through broker faults; counts acknowledged events."""
import collections
import threading
import time

import confluent_kafka

# The broker is killed on purpose: no log lines about it.
QUIET = {"log_level": 0, "error_cb": lambda _: None}


class Producer:
    """A thread. It keeps the acknowledged events, which Kafka's log (log.py) must hold."""

    def __init__(self, brokers, stream, events_per_second, options=None):
        self.stream, self.pace = stream, events_per_second
        self.client = confluent_kafka.Producer({
            "bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 600000, "reconnect.backoff.max.ms": 500,
            **QUIET, **(options or {})})
        self.acknowledged = collections.Counter()  # (topic, key, value): how often
        self.malformed = {}  # (topic, value): the problem
        self.failures = []
        self.sent = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="producer", daemon=True)

    def start(self):
        self.thread.start()

    def note_sent(self, event):
        if event.malformed:
            self.malformed[(event.topic, event.value)] = event.malformed

    def note_acknowledged(self, event):
        self.acknowledged[(event.topic, event.key, event.value)] += 1

    def send(self, event):
        def delivered(error, _):
            if error:
                self.failures.append(str(error))
            else:
                self.note_acknowledged(event)

        self.note_sent(event)
        value = None if event.malformed == "null_value" else event.value
        while True:
            try:
                self.client.produce(event.topic, value, event.key or None, on_delivery=delivered)
                self.sent += 1
                return
            except BufferError:
                self.client.poll(0.1)

    def run(self):
        started = time.monotonic()
        for event in self.stream:
            if self.stopping.is_set():
                return
            self.send(event)
            self.wait_for_turn(started)

    def wait_for_turn(self, started):
        """Deliveries are reported meanwhile."""
        self.client.poll(max(0, started + self.sent / self.pace - time.monotonic()))

    def end(self):
        """Ends the stream."""
        self.stopping.set()

    def wait_delivered(self):
        """Returns when the broker has all of it."""
        self.thread.join()
        left = self.client.flush(120)
        if left or self.failures:
            raise AssertionError(f"{left + len(self.failures)} events could not be published: "
                                 f"{self.failures[:3]}")

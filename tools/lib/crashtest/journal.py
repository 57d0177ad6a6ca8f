"""Prints a line with time for each act, and counts them for the report."""
import collections
import threading
import time


class Journal:
    """Any thread."""

    def __init__(self):
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.counts = collections.defaultdict(collections.Counter)  # kind: {what: how often}

    def elapsed(self):
        return time.monotonic() - self.started

    def say(self, text):
        with self.lock:
            print(f"{self.elapsed():8.2f}  {text}", flush=True)

    def note(self, kind, what, text):
        """Prints an act and counts it under `kind` and `what`."""
        with self.lock:
            self.counts[kind][what] += 1
        self.say(text)

    def total(self, kind):
        return sum(self.counts[kind].values())

    def report(self, kinds):
        for kind, title in kinds.items():
            counts = self.counts[kind]
            listed = ", ".join(f"{what} {counts[what]}" for what in sorted(counts)) or "none"
            print(f"{title:<24}{self.total(kind):6}   {listed}")

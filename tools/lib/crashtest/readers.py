"""Reads the newest batches, one reader a process, to fill the caches: an outdated response would be
found there."""
import collections
import random
import threading

from . import slips

PAUSE_S = 0.02
NEWEST = 60
SLIP_EVERY = 20  # one in so many requests is for the route that has the slips
FINE = {0, 200, 404, 503}  # a process that is ending, a batch not yet registered, a server away


class Readers:
    def __init__(self, slots, batch_ids):
        self.slots, self.batch_ids = slots, batch_ids
        self.stopping = threading.Event()
        self.statuses = collections.Counter()  # of the service's own routes; any thread
        self.threads = [threading.Thread(target=self.read, args=(slot,), daemon=True)
                        for slot in slots]

    def start(self):
        for thread in self.threads:
            thread.start()

    def read(self, slot):
        choice = random.Random(slot.number)
        while not self.stopping.wait(PAUSE_S):
            newest = self.batch_ids[-NEWEST:]
            if not newest or not slot.running() or slot.frozen:
                continue
            if choice.randrange(SLIP_EVERY) == 0:
                slot.program.get(slips.PATH)
            status, _, _ = slot.program.get(f"/internal/v1/batches/{choice.choice(newest)}/status")
            self.statuses[status] += 1

    def problems(self):
        """A mistake in one route affects no other."""
        return [f"{number} requests of the service's routes were answered {status}"
                for status, number in self.statuses.items() if status not in FINE]

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

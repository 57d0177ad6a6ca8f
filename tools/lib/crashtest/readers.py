"""Readers of the newest batches, one a process: they fill the caches in which a stale answer could
hide."""
import random
import threading

PAUSE_S = 0.02
NEWEST = 60


class Readers:
    def __init__(self, slots, batch_ids):
        self.slots, self.batch_ids = slots, batch_ids
        self.stopping = threading.Event()
        self.answers = 0
        self.threads = [threading.Thread(target=self.read, args=(slot,), daemon=True)
                        for slot in slots]

    def start(self):
        for thread in self.threads:
            thread.start()

    def read(self, slot):
        choice = random.Random(slot.number)
        while not self.stopping.wait(PAUSE_S):
            newest = self.batch_ids[-NEWEST:]
            if newest and slot.running() and not slot.frozen:
                status, _, _ = slot.program.get(
                    f"/internal/v1/batches/{choice.choice(newest)}/status")
                self.answers += status == 200

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

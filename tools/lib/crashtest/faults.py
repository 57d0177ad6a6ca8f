"""Assigns fault points to processes, so that every point is reached about equally often."""
import collections
import random

from .slot import FAULT_POINTS, MOST_BATCHES, MOST_PASSINGS, Fault

QUIET_SHARE = 0.2  # lives without a fault of their own, once every point was reached
FREEZE_SHARE = 0.3  # faults that freeze rather than kill
HASTY_FREEZE_SHARE = 0.1


class FaultPlan:
    """hasty: every point soon, for a short run."""

    def __init__(self, seed, hasty):
        self.hasty = hasty
        self.random = random.Random(f"{seed}/faults")
        self.armed = collections.Counter()
        self.reached = collections.Counter()
        self.demanded = []  # points of the next lives, that kill

    def deal(self):
        """A fault point for a starting process, or None."""
        if self.demanded:
            return self.arm(Fault(self.demanded.pop(), 1, "KILL"))
        rank = {point: (self.reached[point] + self.armed[point], self.random.random())
                for point in FAULT_POINTS}
        point = min(FAULT_POINTS, key=rank.get)
        quiet = self.random.random() < QUIET_SHARE
        freeze = self.random.random() < (HASTY_FREEZE_SHARE if self.hasty else FREEZE_SHARE)
        most = MOST_PASSINGS.get(point, MOST_BATCHES)
        passings = self.random.randint(1, (most + 1) // 2 if self.hasty else most)
        if quiet and self.complete():
            return None
        return self.arm(Fault(point, passings, "STOP" if freeze else "KILL"))

    def arm(self, fault):
        self.armed[fault.point] += 1
        return fault

    def settle(self, fault, reached):
        """The process has ended, or is frozen at its fault point."""
        if fault:
            self.armed[fault.point] -= 1
            self.reached[fault.point] += reached

    def complete(self):
        return all(self.reached[point] for point in FAULT_POINTS)

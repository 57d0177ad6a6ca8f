"""A slot for one process of the program, which is restarted after it ended at a fault point or by a
signal."""
import collections
import signal
import time

SWEEP_POINTS = ("before_sweep_commit", "after_sweep_commit")
FAULT_POINTS = ("before_handling", "before_commit", "after_commit_sent", "after_commit",
                "after_redis", "after_report", "in_rebalance", "reaction_taken", "reaction_asked",
                "reaction_commit", "reaction_stored", "outbox_lease", "outbox_produced",
                "outbox_acknowledged", "outbox_noted", *SWEEP_POINTS)
# The most passings before a fault: events, rebalances, reports (one a second), leases taken, sweeps; else
# batches, of events, keys or messages.
MOST_PASSINGS = {"before_handling": 300, "in_rebalance": 3, "after_report": 2, "outbox_lease": 1,
                 **dict.fromkeys(SWEEP_POINTS, 1)}
MOST_BATCHES = 6
YOUNG_S = 1  # so young a process may not yet have taken charge of its signals

Fault = collections.namedtuple("Fault", "point passings signal")


class Slot:
    def __init__(self, number, program, scripts):
        self.number, self.program = number, program
        self.scripts = scripts  # the folder that it reads
        self.fault = None      # of the present life
        self.ending = None     # "kill" or "term": the driver has asked for the end
        self.terms = 0         # SIGTERMs sent: the second one ends it at once
        self.began, self.young_when_asked = 0, False
        self.frozen = False
        self.wanted = False    # restarted when it ends

    def __str__(self):
        return f"program{self.number}"

    def begin(self, fault=None):
        self.fault, self.ending, self.terms = fault, None, 0
        self.began, self.young_when_asked = time.monotonic(), False
        self.frozen, self.wanted = False, True
        self.program.env["AGGREGATOR_FAULT"] = ":".join(map(str, fault)) if fault else ""
        self.program.start(wait=False)

    def running(self):
        return self.program.running()

    def kill(self):
        self.ending = "kill"
        self.program.send(signal.SIGKILL)

    def is_young(self):
        return time.monotonic() - self.began < YOUNG_S

    def term(self):
        self.ending = "term"
        self.young_when_asked |= self.is_young()
        self.terms += 1
        self.program.send(signal.SIGTERM)

    def freeze(self):
        self.frozen = True
        self.program.send(signal.SIGSTOP)

    def thaw(self):
        self.frozen = False
        self.program.send(signal.SIGCONT)

    def stopped_itself(self):
        """Whether a fault point has frozen it."""
        if self.frozen or not self.fault or self.fault.signal != "STOP" or not self.running():
            return False
        try:
            with open(f"/proc/{self.program.process.pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "T"
        except OSError:
            return False

    def why_ended(self):
        """("fault", point), ("kill", None), ("term", None), or ("died", exit status)."""
        status = self.program.process.returncode
        if status == -signal.SIGKILL and self.ending == "kill":
            return "kill", None
        if status == -signal.SIGKILL and self.fault and self.fault.signal == "KILL":
            return "fault", self.fault.point
        too_early = status == -signal.SIGTERM and self.young_when_asked
        if self.ending == "term" and (status == 0 or too_early or
                                      status == 130 and self.terms > 1):
            return "term", None
        return "died", status

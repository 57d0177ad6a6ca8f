"""What is done to the deployment: only what a process of the program must live through."""
import random

from crashtest import acts

# (weight, act)
SERVER_ACTS = ((8, acts.kill_server("postgres")), (8, acts.kill_server("redis")),
               (4, acts.kill_server("kafka")), (6, acts.freeze_server), (22, acts.cut),
               (12, acts.delay))
# Beyond its session timeout: it takes ten seconds to wake, lose its partitions and get them again.
LONG_ACTS = (*SERVER_ACTS, (5, acts.freeze_program))


class NoFaults:
    """In the place of crashtest's FaultPlan: no process dies of itself."""

    def __init__(self, seed):
        self.random = random.Random(f"{seed}/faults")

    def deal(self):
        return None

    def settle(self, fault, reached):
        pass

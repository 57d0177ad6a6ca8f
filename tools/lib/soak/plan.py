"""The acts of a soak: only those that a process must survive."""
import random

from crashtest import acts
from crashtest.acts import Act

SERVER_ACTS = (
    Act(8, "kill Postgres", acts.kill_server("postgres")),
    Act(8, "kill Redis", acts.kill_server("redis")),
    Act(4, "kill Kafka", acts.kill_server("kafka")),
    Act(6, "freeze a server", acts.freeze_server),
    Act(22, "cut connections to a server", acts.cut),
    Act(12, "delay all bytes to and from a server", acts.delay),
)
# Longer than the session timeout. To wake, lose its partitions and get them again takes ten seconds.
LONG_ACTS = (*SERVER_ACTS, Act(5, "freeze a process", acts.freeze_program))


class NoFaults:
    """Replaces crashtest's FaultPlan: no process ends by itself."""

    def __init__(self, seed):
        self.random = random.Random(f"{seed}/faults")

    def deal(self):
        return None

    def settle(self, fault, reached):
        pass

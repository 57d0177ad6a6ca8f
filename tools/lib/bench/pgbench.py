"""Upper limit of uncached queries: the route's statement by pgbench."""
import re
import subprocess

import stack
from soak.rest import states

STATEMENT = stack.ROOT / "sql/queries/batch_status.sql"
THREADS = 2


class Load:
    """Asks for one batch. The program's connections have long been there; these are new, and
    Postgres plans a statement anew five times for each: what they do before they are warm does not
    count."""

    def __init__(self, url, batch_id, seconds, warm_seconds):
        self.seconds, self.warm_seconds = seconds, warm_seconds
        # A second more than is looked at: pgbench ends with less than a whole one.
        command = [stack.POSTGRES_BIN / "pgbench", "-n", "-M", "prepared", "-f", STATEMENT, "-D",
                   f"batch_id={batch_id}", "-c", states(), "-j", THREADS, "-P", 1, "-T",
                   warm_seconds + seconds + 1, url]
        self.process = subprocess.Popen(stack.tethered(command), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def next_second(self):
        """(requests, failed) of it, once it has passed."""
        for line in self.process.stderr:
            found = re.match(r"progress: [\d.]+ s, ([\d.]+) tps, .* (\d+) failed", line)
            if found:
                return float(found.group(1)), int(found.group(2))
        raise AssertionError("pgbench ended early")

    def warm(self):
        for _ in range(self.warm_seconds):
            self.next_second()

    def ask(self):
        """What pgbench has seen: {requests, duration_us, failed}."""
        seen = [self.next_second() for _ in range(self.seconds)]
        return {"requests": sum(requests for requests, _ in seen),
                "failed": sum(failed for _, failed in seen), "duration_us": self.seconds * 1e6}

    def finish(self):
        self.process.communicate()
        if self.process.returncode != 0:
            raise AssertionError("pgbench failed")

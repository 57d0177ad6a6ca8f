"""Reloads that alternate between two generations, and their measurements."""
import dataclasses
import http.client
import time

import stack

from . import generations

CHECKED = 3  # answers after each reload
ANSWER_LIMIT_S = 10


@dataclasses.dataclass(frozen=True)
class Reload:
    sent_at: float  # Unix time
    answered_at: float
    took_ms: float  # as the program says

    @property
    def outside_ms(self):
        return (self.answered_at - self.sent_at) * 1000


class Reloads:
    """paths: what is asked for after a reload, by the new generation to be answered."""

    def __init__(self, program, scripts, paths):
        self.program, self.scripts, self.paths = program, scripts, paths
        self.done = []
        self.late_workers = 0  # had not finished their batch within two seconds
        self.old_answers = 0
        self.failed_answers = 0
        self.example = ""
        self.client = None

    def once(self):
        self.scripts.use_other()
        sent_at = time.time()
        said = self.program.ask("reload")
        answered_at = time.time()
        if not said["done"]:
            raise AssertionError(f"a reload failed: {said}")
        self.late_workers += said["waiting_workers"]
        self.done.append(Reload(sent_at, answered_at, said["took_ms"]))
        for number in range(CHECKED):
            self.check(self.paths[(len(self.done) * CHECKED + number) * 7 % len(self.paths)])

    def spread(self, count, seconds):
        """That many, at equal distances over the time."""
        started = time.monotonic()
        for number in range(count):
            due = started + (number + 0.5) * seconds / count
            time.sleep(max(0, due - time.monotonic()))
            self.once()

    def check(self, path):
        status, body = self.ask(path)
        if status != 200:
            self.failed_answers += 1
            self.example = f"{path}: {status} {body[:200]}"
        elif not body.endswith(generations.tail(self.scripts.mark).encode()):
            self.old_answers += 1
            self.example = f"{path}: {body[-50:]} after a reload to {self.scripts.mark}"

    def ask(self, path):
        """Over a connection that is kept while the program keeps it, too."""
        for attempt in range(2):
            fresh = self.client is None
            if fresh:
                self.client = http.client.HTTPConnection("127.0.0.1", self.program.port,
                                                         timeout=ANSWER_LIMIT_S)
            try:
                self.client.request("GET", path, headers=stack.HEADERS)
                answer = self.client.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.client.close()
                self.client = None
                if fresh or attempt:
                    return 0, str(error).encode()
        return 0, b""

"""Who takes part in the HTTP bench: what each is asked, by which load, and whose processor time
that takes."""
import dataclasses

from crashtest import verify

from . import drain, pgbench, wrk

WARM_SECONDS = 2


@dataclasses.dataclass(frozen=True)
class Figures:
    requests_per_second: float
    own_cpu_us: float  # for a request, of the server that is asked
    cpu_us: float  # with that of the databases behind it
    wrong: int  # answers, at least


def cpu_seconds(server):
    return drain.cpu_seconds(server.pids())


class Contestant:
    """`servers`: the processes (of stack) that answer; the first is the one that is asked."""

    def __init__(self, name, servers):
        self.name, self.servers = name, servers

    def watch(self, ask):
        """The figures of what ask() does, which returns what was seen, and how much was wrong."""
        before = [cpu_seconds(server) for server in self.servers]
        seen, wrong = ask()
        requests = max(1, seen["requests"])
        cpu_us = [(cpu_seconds(server) - then) / requests * 1e6
                  for server, then in zip(self.servers, before)]
        return Figures(requests / seen["duration_us"] * 1e6, cpu_us[0], sum(cpu_us), wrong)


class Web(Contestant):
    """Asked by wrk. Every answer is to have the status, and the body that check() is given."""

    def __init__(self, name, servers, port, load, status=200):
        super().__init__(name, servers)
        self.port, self.load, self.status = port, load, status
        self.answer_bytes = 0

    def check(self, body):
        status, _, held, self.answer_bytes = self.load.answer(self.port)
        if status != self.status or held != (body if status == 200 else b""):
            raise AssertionError(f"{self.name}: {status} {held[:200]}")

    def warm(self):
        self.load.run(self.port, WARM_SECONDS)

    def measure(self, seconds):
        def ask():
            seen = self.load.run(self.port, seconds)
            return seen, wrk.wrong(seen, self.answer_bytes)

        return self.watch(ask)


class Statement(Contestant):
    """Asked by pgbench: what the route asks the database."""

    def __init__(self, name, servers, url, batch_id):
        super().__init__(name, servers)
        self.url, self.batch_id = url, batch_id

    def check(self, body):
        sql = pgbench.STATEMENT.read_text().replace(":batch_id::", f"'{self.batch_id}'::")
        held = [row[0].encode() for row in verify.query(self.url, sql)]
        if held != [body]:
            raise AssertionError(f"{self.name}: {held}")

    def warm(self):
        """Each load of it does so itself."""

    def measure(self, seconds):
        load = pgbench.Load(self.url, self.batch_id, seconds, WARM_SECONDS)
        load.warm()

        def ask():
            seen = load.ask()
            return seen, seen["failed"]

        figures = self.watch(ask)
        load.finish()
        return figures

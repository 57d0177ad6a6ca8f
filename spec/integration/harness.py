"""A whole service under test: one database, one Redis, one Kafka, one program or several."""
import json
import uuid

import psycopg2
import stack
from stack import SAMPLES, wait_until

STREAMS = ("current", "first", "first-unlinked", "current-hard")


def records(stream):
    """The records of a sample stream: dictionaries as in the file, in its order."""
    with open(SAMPLES / f"{stream}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_records(stream):
    """Those on topics that the program reads."""
    return [record for record in records(stream) if record["topic"] != stack.UNREAD_TOPIC]


def expectations(stream):
    return json.loads((SAMPLES / f"{stream}.expected.json").read_text())


class Service:
    """Built by the `service` fixture, which ends everything that it starts."""

    def __init__(self, folder, build, kafka, database_url, redis_url, cleanup):
        self.folder, self.build, self.kafka = folder, build, kafka
        self.database_url, self.redis_url = database_url, redis_url
        self.cleanup = cleanup
        self.programs = []

    def prepare(self, **env):
        """One more program on the same servers, not yet started."""
        number = len(self.programs)
        program = stack.Aggregator(self.folder / f"program{number}", self.build,
                                   self.database_url, self.redis_url, self.kafka.brokers,
                                   {"SERVICE_NAME": f"program{number}", **env})
        self.programs.append(program)
        self.cleanup.callback(program.kill)
        return program

    def start(self, **env):
        return self.prepare(**env).start()

    @property
    def program(self):
        return self.programs[0]

    def feed(self, stream, rate=0, wait=True):
        process = stack.feed(self.build, self.kafka.brokers, stream, rate, wait)
        self.cleanup.callback(process.kill)
        return process

    def publish(self, lines):
        """Publishes records as the sample files hold them, in order, and waits for the broker."""
        path = self.folder / f"{uuid.uuid4()}.jsonl"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        self.feed(path)

    def query(self, sql, *parameters):
        """The rows of one statement, in a transaction of its own."""
        with psycopg2.connect(self.database_url) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []

    def committed_events(self):
        """How many records the database's offsets have passed."""
        return int(self.query("SELECT coalesce(sum(next_offset) FILTER (WHERE next_offset > 0), 0) "
                              "FROM consumer_offsets")[0][0])

    def wait_committed(self, count):
        wait_until(f"{count} events committed (now {self.committed_events()})",
                   lambda: self.committed_events() >= count)

    def wait_ready(self, program=None):
        wait_until("readiness", lambda: (program or self.program).get("/readyz")[0] == 200)


def log_lines(program, message=None):
    """The program's log as dictionaries; those with a message only, if one is given."""
    lines = [json.loads(line) for line in program.log.read_text().splitlines()
             if line.startswith("{")]
    return [line for line in lines if message in (None, line["message"])]

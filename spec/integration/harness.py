"""A service under test: one database, one Redis, one Kafka, one or more programs."""
import contextlib
import json
import os
import pathlib
import subprocess
import threading
import uuid

import psycopg2
import stack
from stack import ROOT, ROOTS, SAMPLES, edited_config, wait_until

# Streams without a batch in common, which one service may take side by side; and all of them.
BESIDE = ("current", "first", "first-unlinked", "current-hard")
STREAMS = (*BESIDE, "second-run")


def records(stream):
    """The records of a sample stream: dictionaries, in the order of the file."""
    with open(SAMPLES / f"{stream}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_records(stream):
    """The records on topics that the program reads."""
    return [record for record in records(stream) if record["topic"] != stack.UNREAD_TOPIC]


def expectations(stream):
    return json.loads((SAMPLES / f"{stream}.expected.json").read_text())


def preload(folder, name, **variables):
    """The variables of a program that runs with spec/fixtures/NAME.c, which reads `variables`."""
    library = folder / f"{name}.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library,
                    ROOT / f"spec/fixtures/{name}.c"], check=True)
    return {"LD_PRELOAD": str(library), **variables,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


# For edited_config.
API_KEYS = ('api_keys = list(env_or_file("HULEEDU_INTERNAL_API_KEY") or '
            'env_or_file("INTERNAL_API_KEY"))')
SLOW_LOCK = 4711
# In a query's text: it waits here, after its snapshot, while the test is in readers_held.
WAIT_FOR_TEST = f"pg_advisory_xact_lock_shared({SLOW_LOCK})"
STATUS_QUERY = "SELECT body, tags FROM batch_answer(:batch_id::text)"


@contextlib.contextmanager
def readers_held(url):
    """Queries with WAIT_FOR_TEST wait until the block ends."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("SELECT pg_advisory_xact_lock(%s)", [SLOW_LOCK])
        yield
        connection.rollback()


def wait_for_held_readers(url, count=1):
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def are_held():
            cursor.execute("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE "
                           "d.datname = current_database() AND locktype = 'advisory' AND NOT granted")
            return cursor.fetchone() == (count,)

        wait_until("readers that wait", are_held)


def statement_calls(service, text="FROM batch_answer($1::text)", column="calls"):
    """The number of executions of a statement, or another column's sum. This query, which quotes it, does not
    count: pg_stat_statements may keep its constants."""
    return int(service.query(f"SELECT coalesce(sum({column}), 0) FROM pg_stat_statements s "
                             "JOIN pg_database d ON d.oid = s.dbid AND d.datname = "
                             "current_database() WHERE position(%s IN query) > 0 AND "
                             "position('pg_stat_statements' IN query) = 0", text)[0][0])


def slot_event(batch_id, essay_id, filename, second=0):
    """The record of a file that was assigned to an essay: at 09:00 and `second` seconds."""
    at = f"2025-06-28T09:{second // 60:02}:{second % 60:02}.000000Z"
    topic = "huleedu.els.essay.slot.assigned.v1"
    return {"topic": topic, "key": essay_id, "value": {
        "event_id": str(uuid.uuid4()), "event_type": topic, "event_timestamp": at,
        "source_service": "essay-lifecycle-service", "correlation_id": str(uuid.uuid4()),
        "data": {"batch_id": batch_id, "essay_id": essay_id, "file_upload_id": "upload",
                 "text_storage_id": "text", "original_file_name": filename, "timestamp": at}}}


class Service:
    """Built by the `service` fixture, which ends everything that it starts."""

    def __init__(self, folder, build, kafka, database_url, redis_url, cleanup):
        self.folder, self.build, self.kafka = folder, build, kafka
        self.database_url, self.redis_url = database_url, redis_url
        self.cleanup = cleanup
        self.programs = []

    def prepare(self, config=None, **env):
        """Another program on the same servers, not started."""
        number = len(self.programs)
        program = stack.Aggregator(self.folder / f"program{number}", self.build,
                                   self.database_url, self.redis_url, self.kafka.brokers,
                                   ROOTS | {"SERVICE_NAME": f"program{number}", **env}, config)
        self.programs.append(program)
        self.cleanup.callback(program.kill)
        return program

    def prepare_quick(self, **env):
        """A program with a session timeout of four seconds: the embedded broker takes three to form
        a group."""
        config = edited_config(
            self.folder / "quick.lua",
            ("options = {},", 'options = { ["heartbeat.interval.ms"] = "300" },'))
        return self.prepare(config, KAFKA_SESSION_TIMEOUT_MS="4000", **env)

    def start(self, config=None, **env):
        return self.prepare(config, **env).start()

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
                              "FROM aggregator_state.consumer_offsets")[0][0])

    def wait_committed(self, count):
        wait_until(f"{count} events committed (now {self.committed_events()})",
                   lambda: self.committed_events() >= count)

    def wait_ready(self, program=None):
        wait_until("readiness", lambda: (program or self.program).get("/readyz")[0] == 200)


def check_counted(program, name, value):
    """That a counter reaches a value and goes no further: what a commit did is counted a moment after others
    can see it."""
    wait_until(f"{name} to be {value}", lambda: program.metric(name) >= value)
    assert program.metric(name) == value


def await_hang(program, fault):
    """A call that hangs by AGGREGATOR_FAULT until let_go."""
    wait_until("the hang", lambda: f"fault: HANG at {fault}" in program.log.read_text())


def let_go(fifo):
    os.close(os.open(fifo, os.O_WRONLY))


def of_threads(pid, file):
    """{number of a thread: what /proc says of it in the file}, without those that end meanwhile."""
    said = {}
    for path in pathlib.Path(f"/proc/{pid}/task").glob(f"*/{file}"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            said[path.parent.name] = path.read_text()
    return said


def dependencies(program):
    """{name: what /readyz says of it}"""
    return json.loads(program.get("/readyz")[1])["dependencies"]


def log_lines(program, message=None):
    """The program's log as dictionaries; those with a message only, if one is given. A line that is being
    written is left out."""
    whole, _, _ = program.log.read_bytes().rpartition(b"\n")
    lines = [json.loads(line) for line in whole.decode().splitlines() if line.startswith("{")]
    return [line for line in lines if message in (None, line["message"])]


@contextlib.contextmanager
def database_away(service):
    """Ends all connections and refuses new ones."""
    base, name = service.database_url.rsplit("/", 1)
    connection = psycopg2.connect(f"{base}/postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                   (name,))
    yield
    cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    connection.close()


def waits_for_lock(service, application):
    """Whether a session of that name waits for a lock in the service's database."""
    return service.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                         "AND application_name = %s AND wait_event_type = 'Lock'", application)


def hold_up(service, cleanup, application, call):
    """Has call(), on a thread of its own, wait for a lock: (lock, thread, list for what it returns)."""
    lock = cleanup.enter_context(contextlib.closing(psycopg2.connect(service.database_url)))
    lock.cursor().execute("LOCK TABLE aggregator_state.rejected_events IN ACCESS EXCLUSIVE MODE")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    cleanup.callback(thread.join)
    wait_until(f"{application} to wait", lambda: waits_for_lock(service, application))
    return lock, thread, answers


def strict_postgres(folder, cleanup, role, *statements):
    """A cluster that requires the password of the role, which the statements make. ras needs none."""
    postgres = stack.Postgres(folder, ("fsync=off", "shared_preload_libraries=pg_stat_statements"))
    cleanup.callback(postgres.remove)
    cleanup.callback(postgres.stop)
    postgres.start()
    rules = postgres.data.resolve() / "pg_hba.conf"
    rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    postgres.run(*statements, "SELECT pg_reload_conf()")
    return postgres

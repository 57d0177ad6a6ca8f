"""Applies streams through the production pipeline (tools/apply.c) and reads the result from the
database: every view table to the byte, and every response."""
import concurrent.futures
import contextlib
import io
import json
import os
import random
import re
import select
import subprocess
import threading

import psycopg2
import psycopg2.extras
from stack import ROOT, tethered

VIEW_TABLES = re.findall(r'^    name = "(\w+)",$', (ROOT / "scripts/view.lua").read_text(), re.M)
PROGRAM_TABLES = ["aggregator_state.consumer_offsets", "aggregator_state.offset_scripts",
                  "aggregator_state.rejected_events", "aggregator_state.retention"]
OUTCOMES = ["applied", "superseded", "ignored", "duplicate", "rejected", "expired"]
GROUP = "result_aggregator_group"


def statement(query):
    """A query of the service, as psycopg takes it."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", (ROOT / f"sql/queries/{query}.sql").read_text())


class Apply:
    """An apply process, reused for many streams."""

    def __init__(self, build, env, options=()):
        self.process = subprocess.Popen(
            tethered([build / "apply", *options]), cwd=ROOT, text=True,
            env=os.environ | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def send(self, records):
        """Sends a batch without waiting for its commit."""
        for record in records:
            self.say(record if isinstance(record, str) else json.dumps(record))
        self.say("commit")
        self.process.stdin.flush()

    def commit(self, records):
        """"ok", or why the batch was not committed."""
        self.send(records)
        return self.answer()

    def sweep(self, horizon_us):
        """Moves the horizons to that time, microseconds since 1970, and deletes what has left; "ok"."""
        self.say(f"sweep {horizon_us}")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        return self.process.stdout.readline().rstrip("\n")

    def answered_within_ms(self, limit_ms):
        """Waits for a reply, at most so long; returns whether it came."""
        return bool(select.select([self.process.stdout], [], [], limit_ms / 1000)[0])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what it had not read
            self.process.stdin.close()

    def close(self):
        """Ends it in order; the exit status."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=120)


class Delivery:
    """How a stream reaches the view: for each process its batches of records with their places.

    steps: (index of a record, process, whether the batch ends behind it), in order of delivery. An
    index that comes again is the same bytes at another offset."""

    def __init__(self, steps, redis=False):
        self.steps, self.redis = steps, redis

    @classmethod
    def in_order(cls, count):
        return cls([(index, 0, False) for index in range(count)])

    @classmethod
    def at_random(cls, count, seed):
        """Any order, an eighth of it twice, up to four processes, batches of any size."""
        chance = random.Random(seed)
        order = list(range(count)) + [chance.randrange(count) for _ in range(count // 8)]
        chance.shuffle(order)
        processes, size = chance.randint(1, 4), chance.choice([1, 5, 50, 1000])
        return cls([(index, chance.randrange(processes), chance.randrange(size) == 0)
                    for index in order], chance.random() < 0.5)

    def lanes(self, records):
        """{process: [batch, …]}; a batch is a list of records. Each process has partitions of its
        own, numbered as itself."""
        lanes, offsets = {}, {}
        for index, process, ends in self.steps:
            record = records[index]
            place = (record["topic"], process)
            offset = offsets[place] = offsets.get(place, -1) + 1
            batches = lanes.setdefault(process, [[]])
            batches[-1].append(record | {"partition": process, "offset": offset})
            if ends:
                batches.append([])
        return lanes

    def to_json(self):
        return {"steps": self.steps, "redis": self.redis}


class Workbench:
    """A database, a Redis, and the processes that apply streams to it."""

    def __init__(self, build, database_url, redis_url, redis, tables=None, env=None):
        """tables, env: of another service than the project's own."""
        self.build, self.redis, self.tables = build, redis, tables or VIEW_TABLES
        self.env = {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": database_url,
                    "KAFKA_CONSUMER_GROUP_ID": GROUP,
                    # streams of nothing but malformed events are no reason to stop
                    "INGEST_BREAKER_SHARE_PERCENT": "100"} | (env or {})
        self.redis_urls = {False: "none", True: redis_url}
        self.processes = {}
        self.lock = threading.Lock()
        self.threads = concurrent.futures.ThreadPoolExecutor(4)
        self.connection = psycopg2.connect(database_url)
        self.connection.autocommit = True
        self.list_sql = statement("user_batches")

    def close(self):
        statuses = [process.close() for process in self.processes.values()]
        self.threads.shutdown()
        self.connection.close()
        assert set(statuses) <= {0}, statuses

    def start(self, redis=False):
        """A process of the caller's own."""
        return Apply(self.build, self.env | {"REDIS_URL": self.redis_urls[redis]})

    def process(self, number, redis):
        with self.lock:
            if (number, redis) not in self.processes:
                self.processes[number, redis] = self.start(redis)
            return self.processes[number, redis]

    def query(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    # ---- applying

    def reset(self):
        """Resets database and Redis to the initial state."""
        self.empty()
        self.redis.flushall()

    def empty(self):
        """The database alone."""
        self.query("TRUNCATE " + ", ".join(self.tables + PROGRAM_TABLES))
        self.forget_offsets()

    def forget_offsets(self):
        """Call it after every change of offsets in the database."""
        for process in self.processes.values():
            process.say("reset")

    def run_lane(self, number, redis, batches):
        process = self.process(number, redis)
        answers = [process.commit(batch) for batch in batches]
        assert set(answers) == {"ok"}, answers

    def deliver(self, records, delivery):
        """Applies the records, every process at once in a thread of its own."""
        lanes = delivery.lanes(records)
        waiting = [self.threads.submit(self.run_lane, number, delivery.redis, batches)
                   for number, batches in lanes.items()]
        for lane in waiting:
            lane.result()

    def apply(self, records, delivery=None):
        """The view of these records alone, as they come or as a delivery says."""
        self.reset()
        self.deliver(records, delivery or Delivery.in_order(len(records)))

    # ---- reading

    def dump(self):
        """{table: its rows, as COPY writes them}."""
        tables = {}
        with self.connection.cursor() as cursor:
            for table in self.tables:
                out = io.StringIO()
                cursor.copy_expert(f"COPY (SELECT * FROM {table} t ORDER BY t::text) TO STDOUT",
                                   out)
                tables[table] = out.getvalue()
        return tables

    def bodies(self):
        """{batch_id: (body, tags, status)} of every batch with a response."""
        rows = self.query("SELECT b.batch_id, a.body, a.tags, a.result_status::text "
                          "FROM batch_results b CROSS JOIN LATERAL batch_answer(b.batch_id) a")
        return {batch_id: rest for batch_id, *rest in rows}

    def answers(self):
        return {batch_id: json.loads(body) for batch_id, (body, _, _) in self.bodies().items()}

    def answer(self, batch_id):
        return self.answers().get(batch_id)

    def list(self, user_id, limit=20, offset=0, statuses=None, after=(None, None)):
        """The body of a user's list."""
        return self.query(self.list_sql, {
            "user_id": user_id, "limit": limit, "offset": offset, "statuses": statuses,
            "after_created_at": after[0], "after_batch_id": after[1]})[0][0]

    def published(self, query):
        """The rows that a reaction gets of all batches: dictionaries."""
        with self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT array_agg(batch_id) AS keys FROM batch_results")
            cursor.execute(statement(query), {"keys": cursor.fetchone()["keys"] or []})
            return [dict(row) for row in cursor.fetchall()]

    def users(self):
        return [user for user, in self.query(
            "SELECT DISTINCT user_id FROM batch_results WHERE user_id IS NOT NULL ORDER BY 1")]

    def lists(self):
        return {user_id: self.list(user_id) for user_id in self.users()}

    def everything(self):
        return {"tables": self.dump(), "answers": self.bodies(), "lists": self.lists()}

    def accounts(self):
        """{outcome: events}, over all partitions."""
        columns = ", ".join(f"coalesce(sum({name}), 0)::int" for name in OUTCOMES)
        return dict(zip(OUTCOMES, self.query(f"SELECT {columns} FROM aggregator_state.consumer_offsets")[0]))

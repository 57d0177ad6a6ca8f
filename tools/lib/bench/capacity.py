"""Capacity: bytes of each table, of the log of Postgres, of Redis and of Kafka, for an event and an essay.

Whole lives of batches are drained with Redis and the outbox; what each server stores after it is divided
by the events, essays and rows. The statement for the tables is that of docs/operate/capacity.md."""
import re
import subprocess

import redis
import stack
from crashtest import verify

from . import streams
from .report import Report
from .servers import Servers, committed
from .streams import ESSAYS

PAGE = stack.ROOT / "docs/operate/capacity.md"
ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000"}  # the samples are old, and are published all the same
WAITING = "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks) " \
    "+ (SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')"
LEAST_ROWS = 1000  # smaller tables do not grow with the events


def add_options(parser):
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--quick", action="store_true", help="20,000 events")


def documented_statement():
    return re.search(r"^```sql\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]


def log_position(url):
    return int(verify.query(url, "SELECT pg_current_wal_lsn() - '0/0'")[0][0])


def kafka_bytes(servers, prefix):
    """Of the segments of the topics, without indexes and the empty space that Kafka reserves."""
    return sum(segment.stat().st_size for folder in (servers.kafka.folder / "kafka-data").iterdir()
               if folder.name.startswith(prefix) for segment in folder.glob("*.log"))


def add_tables(report, url):
    """Each table that grows; the rows by name."""
    subprocess.run(["vacuumdb", "--quiet", "--analyze", url], check=True)
    found = {}
    for name, rows, row_bytes, index_bytes in verify.query(url, documented_statement()):
        if rows > LEAST_ROWS:
            found[name] = rows
            report.add(f"{name}: a row", float(row_bytes), "bytes")
            report.add(f"{name}: its index entries", float(index_bytes), "bytes")
    return found


def run(options, folder, cleanup):
    events = 20000 if options.quick else options.events
    servers = Servers(options, folder, cleanup, redis=True)
    streams.publish(servers, folder, "lifecycle", events)
    read_bytes = kafka_bytes(servers, "huleedu")
    program, url = servers.program("ras_capacity", ALL_HISTORY)
    memory = redis.Redis(port=servers.redis.port)
    used, log = memory.info("memory")["used_memory"], log_position(url)
    program.start()
    stack.wait_until("the end of the backlog", lambda: committed(url) >= events, 600)
    stack.wait_until("all to be published", lambda: verify.query(url, WAITING)[0][0] == 0, 600)
    keys_bytes = memory.info("memory")["used_memory"] - used
    log_bytes = log_position(url) - log
    program.stop()
    report = Report(f"{events:,} events of whole lives of batches", ("", ""))
    rows = add_tables(report, url)
    tables = verify.query(url, "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relkind = 'r' "
                          "AND relnamespace IN ('public'::regnamespace, 'aggregator_state'::regnamespace)")
    essay_bytes = float(tables[0][0]) / rows["essay_results"]
    report.add("essays of a batch", rows["essay_results"] / rows["batch_results"])
    report.add(f"database, a batch of {ESSAYS} essays", essay_bytes * ESSAYS / 1024, "kB")
    report.add(f"events, a batch of {ESSAYS} essays", events / rows["essay_results"] * ESSAYS)
    report.add("log of Postgres, an event", log_bytes / events, "bytes")
    report.add("Redis, an event", keys_bytes / events, "bytes")
    report.add("Kafka, an event that is read", read_bytes / events, "bytes")
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()

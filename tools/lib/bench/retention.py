"""Old rows leave: deleted in small transactions, or dropped with a partition of a day.

A view of many days of batches is filled; the oldest days leave by the program's own sweep, and as many new
ones come. The same batches stand in a table with a partition a day: those of the oldest days are dropped,
and batches are looked up by their id in both. Prints time, log of Postgres (WAL) and sizes."""
import datetime
import subprocess
import time

import psycopg2
import stack
from crashtest import verify

from .report import Report

VIEW = ("batch_results", "phase_outcomes", "assessments", "essay_results")
FILL = """
WITH batches AS (
  SELECT 'batch-' || d || '-' || b AS id, timestamptz '2020-01-01Z' + d * interval '1 day' + b * interval '1 second' AS at
  FROM generate_series(%(first)s, %(last)s - 1) d, generate_series(1, %(batches)s) b
), registered AS (
  INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count, essay_ids,
    first_release, completion_at, completion_event_id, completion_status)
  SELECT id, at, gen_random_uuid(), 'user-' || hashtext(id) %% 1000, %(essays)s,
    ARRAY(SELECT id || '-' || e FROM generate_series(1, %(essays)s) e), false, at, gen_random_uuid(), 'COMPLETED'
  FROM batches
), outcomes AS (
  INSERT INTO phase_outcomes (batch_id, phase_name, content_id, outcome_at, outcome_event_id, phase_status,
    processed_ids, failed_ids)
  SELECT id, phase, gen_random_uuid(), at, gen_random_uuid(), 'completed_successfully',
    ARRAY(SELECT id || '-' || e FROM generate_series(1, %(essays)s) e), '{}'
  FROM batches, unnest(ARRAY['spellcheck', 'cj_assessment']) AS phase
)
INSERT INTO essay_results (essay_id, slot_at, slot_event_id, filename, slot_link_at, slot_link_event_id, slot_batch_id,
  spellcheck_at, spellcheck_event_id, spellcheck_status, spellcheck_metrics)
SELECT id || '-' || e, at, gen_random_uuid(), 'essay.txt', at, gen_random_uuid(), id, at, gen_random_uuid(), 'COMPLETED',
  '{"total_corrections": 3, "l2_dictionary_corrections": 1, "word_count": 400, "correction_density": 0.5}'
FROM batches, generate_series(1, %(essays)s) e"""
PARTITIONS = """
CREATE TABLE by_day (LIKE batch_results INCLUDING DEFAULTS, PRIMARY KEY (batch_id, registration_at))
  PARTITION BY RANGE (registration_at);
DO $$ BEGIN FOR d IN 0..%(days)s LOOP EXECUTE format(
  'CREATE TABLE by_day_%%s PARTITION OF by_day FOR VALUES FROM (%%L) TO (%%L)', d,
  timestamptz '2020-01-01Z' + d * interval '1 day', timestamptz '2020-01-01Z' + (d + 1) * interval '1 day');
END LOOP; END $$;
INSERT INTO by_day SELECT * FROM batch_results"""
LOOKUPS = """DO $$ BEGIN FOR n IN 1..%(lookups)s LOOP
  PERFORM user_id FROM {table} WHERE batch_id = 'batch-' || %(first)s + n %% 10 || '-' || 1 + n %% %(batches)s;
END LOOP; END $$"""


def add_options(parser):
    parser.add_argument("--days", type=int, default=60, help="that the view has")
    parser.add_argument("--leave", type=int, default=10, help="days that leave")
    parser.add_argument("--batches", type=int, default=100, help="of a day")
    parser.add_argument("--essays", type=int, default=30, help="of a batch")
    parser.add_argument("--quick", action="store_true", help="20 days of 20 batches, of which 5 leave")


class Bench:
    def __init__(self, options, folder, cleanup):
        self.options, self.folder = options, folder
        self.postgres = stack.Postgres(folder / "postgres")
        cleanup.callback(self.postgres.remove)
        cleanup.callback(self.postgres.stop)
        self.postgres.start()
        self.url = self.postgres.create_database("ras_retention")
        scripts = stack.with_retention(folder / "scripts", days=400, span_days=30)
        self.program = stack.Aggregator(folder, options.build, self.url, "none", "none", {"SCRIPTS_ROOT": str(scripts)})
        self.program.command("migrate")
        self.run("CREATE INDEX batch_results_by_registration ON batch_results (registration_at)")

    def run(self, sql, **more):
        """(seconds, bytes of WAL)"""
        values = vars(self.options) | {"lookups": 2000, "first": self.options.leave} | more
        with psycopg2.connect(self.url) as connection, connection.cursor() as cursor:
            before = self.log()
            started = time.monotonic()
            cursor.execute(sql, values)
            connection.commit()
            return time.monotonic() - started, self.log() - before

    def log(self):
        return int(verify.query(self.url, "SELECT pg_current_wal_lsn() - '0/0'")[0][0])

    def bytes(self):
        return sum(int(verify.query(self.url, f"SELECT pg_total_relation_size('{table}')")[0][0]) for table in VIEW)

    def rows(self):
        return sum(int(verify.query(self.url, f"SELECT count(*) FROM {table}")[0][0]) for table in VIEW)

    def sweep(self):
        """(seconds, bytes of WAL) of the oldest days, without pauses."""
        at = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=self.options.leave)
        before, started = self.log(), time.monotonic()
        done = subprocess.run([self.options.build / "apply"], input=f"sweep {int(at.timestamp()) * 1000000}\n",
                              env=self.program.env, cwd=stack.ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "ok\n", done.stdout
        return time.monotonic() - started, self.log() - before


def run(options, folder, cleanup):
    if options.quick:
        options.days, options.leave, options.batches = 20, 5, 20
    bench = Bench(options, folder, cleanup)
    report = Report(f"{options.leave} of {options.days} days leave, {options.batches} batches of {options.essays} essays a day",
                    ("", "value"), "")
    bench.run(FILL, first=0, last=options.days)
    bench.run(PARTITIONS)
    bench.run("ANALYZE")
    full, rows = bench.bytes(), bench.rows()
    for table in ("batch_results", "by_day"):
        bench.run(LOOKUPS.format(table=table))
        report.add(f"a batch by its id: {table}", bench.run(LOOKUPS.format(table=table))[0] / 2000 * 1e6, "µs")
    seconds, log = bench.run(";".join(f"DROP TABLE by_day_{day}" for day in range(options.leave)))
    report.add("partitions dropped", seconds * 1000, "ms")
    report.add("partitions dropped: WAL", log / 1e6, "MB")
    seconds, log = bench.sweep()
    gone = rows - bench.rows()
    report.add("rows deleted", gone)
    report.add("deleted", gone / seconds, "rows/s")
    report.add("deleted: WAL", log / gone, "bytes a row")
    report.add("the view before", full / 1e6, "MB")
    report.add("after the deletes", bench.bytes() / 1e6, "MB")
    subprocess.run(["vacuumdb", "--quiet", bench.url], check=True)
    report.add("after a vacuum", bench.bytes() / 1e6, "MB")
    bench.run(FILL, first=options.days, last=options.days + options.leave)
    report.add("with as many new days", bench.bytes() / 1e6, "MB")
    report.print()
    if options.json:
        report.write(options.json)
    return [] if bench.rows() == rows else ["rows are missing"]

"""A view with as many rows of essay_results as wanted: like one that the program wrote, with ids of
their own."""
import subprocess

import stack
from crashtest import verify

from .streams import ESSAYS

# Filling is not measured: with full pages the write-ahead log would be ten times the data.
POSTGRES_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off",
                     "autovacuum=off", "max_wal_size=16GB")
COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = 'essay_results'::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = ''"""
SET_COLUMNS = """
    SELECT key FROM (SELECT * FROM essay_results LIMIT 1) AS first,
      jsonb_each(jsonb_strip_nulls(to_jsonb(first)))"""


def random_id(kind, number):
    """SQL of an id that is always the same, and random to a tree."""
    return f"md5('{kind} ' || {number})::uuid"


def expression(name, kind):
    """SQL of what the next row has in a column."""
    if name == "essay_id":
        return random_id("essay", "number") + "::text"
    if name.endswith("batch_id"):
        return random_id("batch", f"number / {ESSAYS}") + "::text"
    if kind == "uuid":
        return random_id("event", "number")
    if kind.startswith("timestamp"):
        return f"first.{name} + number * interval '1 ms'"
    return f"first.{name}"


def fill(url, held, rows):
    """From so many rows, of which the program wrote the first, to so many. One by one into the
    indexes, so that their pages are as full as those of a view that has grown."""
    found = {name for name, in verify.query(url, SET_COLUMNS)}
    columns = {name: expression(name, kind) for name, kind in verify.query(url, COLUMNS)
               if name in found}
    verify.query(url, f"""
        INSERT INTO essay_results ({', '.join(columns)}) SELECT {', '.join(columns.values())}
        FROM generate_series({held + 1}, {rows}) AS number,
          (SELECT * FROM essay_results LIMIT 1) AS first""")


def settle(url):
    """What a view of that size has behind it: rows that are known to be committed, and a planner
    that knows how many there are."""
    subprocess.run([stack.POSTGRES_BIN / "vacuumdb", "--quiet", "--analyze", url], check=True)

"""When the ingest workers committed, as Postgres remembers it (track_commit_timestamp): nothing is
measured while the program runs."""
import zlib

from crashtest import verify

SETTING = "track_commit_timestamp=on"
SQL = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8, min(essay_id)
    FROM essay_results GROUP BY xmin ORDER BY 1"""


def gaps(url, workers):
    """[(from, to)] between two commits of a worker that follow one another, Unix time. Each worker
    owns one partition of the results' topic, and records go to partitions by their essay's id."""
    found, last = [], {}
    for at, essay in verify.query(url, SQL):
        worker = zlib.crc32(essay.encode()) % workers
        if worker in last:
            found.append((last[worker], at))
        last[worker] = at
    return found


def longest_ms(found, spans):
    """Of what lies of them within one of the spans of time."""
    return max(((min(end, until) - max(begin, since)) * 1000 for begin, end in found
                for since, until in spans), default=0)

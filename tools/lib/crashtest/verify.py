"""Checks of the final state: offsets, accounting, rejected events, responses."""
import collections
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import time

import psycopg2
import stack

MOST_REQUESTS = 20  # for one response
OUTCOMES = ("applied", "superseded", "ignored", "duplicate", "rejected", "expired")


def query(url, sql, values=None, **connecting):
    """The rows of the last statement; committed. `connecting`: keywords of psycopg2.connect."""
    with contextlib.closing(psycopg2.connect(url, **connecting)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []


def keep_history(url):
    """Records every change of an offset from now on, to explain a wrong sum."""
    query(url, """
        CREATE TABLE offset_history (at timestamptz DEFAULT clock_timestamp(),
          backend integer DEFAULT pg_backend_pid(), topic text, partition integer,
          old bigint, new bigint);
        CREATE FUNCTION note_offset() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO offset_history (topic, partition, old, new)
          VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
          RETURN NULL;
        END $$;
        CREATE TRIGGER note_offset AFTER UPDATE ON aggregator_state.consumer_offsets FOR EACH ROW
        EXECUTE FUNCTION note_offset()""")


def check_history(url):
    """An offset moves forward only."""
    rows = query(url, "SELECT at, backend, topic, partition, old, new FROM offset_history "
                      "WHERE new <= old ORDER BY at")
    return [f"at {at:%H:%M:%S.%f} backend {backend} moved {topic} {number} from {old} to {new}"
            for at, backend, topic, number, old, new in rows]


def analyze(url):
    """A killed server has lost its table statistics."""
    query(url, "ANALYZE")


def offsets(url):
    """{(topic, partition): (next offset, {outcome: count})}"""
    rows = query(url, "SELECT topic, partition, next_offset, applied, superseded, ignored, "
                      "duplicate, rejected, expired FROM aggregator_state.consumer_offsets")
    return {(topic, number): (next_offset, dict(zip(OUTCOMES, counts)))
            for topic, number, next_offset, *counts in rows}


def wait_drained(url, ends, seconds):
    """Waits until the database has passed every record; returns the seconds."""
    started = time.monotonic()

    def drained():
        try:
            held = offsets(url)
        except psycopg2.Error:
            return False
        return all(end == 0 or held.get(place, (-1,))[0] >= end for place, end in ends.items())

    stack.wait_until("the end of every partition", drained, seconds, interval_s=0.1)
    return time.monotonic() - started


def view_tables():
    """Name and key columns of what scripts/view.lua declares."""
    text = (stack.ROOT / "scripts/view.lua").read_text()
    tables = re.findall(r'name = "(\w+)",\s+key = \{(.*?)\},\n', text)
    return [(name, re.findall(r'\{ "(\w+)"', key)) for name, key in tables]


def dump(url, folder):
    """Writes one file a table, in key order; {table: bytes}."""
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    dumps = {}
    for name, key in view_tables():
        sql = f"COPY (SELECT * FROM {name} ORDER BY {', '.join(key)}) TO STDOUT (HEADER)"
        dumps[name] = subprocess.run(["psql", "-qX", url, "-c", sql], check=True,
                                     capture_output=True).stdout
        (pathlib.Path(folder) / f"{name}.tsv").write_bytes(dumps[name])
    return dumps


def check_view(disturbed, clean):
    return [f"table {name} differs from the undisturbed run's: {len(clean[name].splitlines()) - 1} "
            f"rows there, {len(disturbed[name].splitlines()) - 1} here"
            for name in clean if clean[name] != disturbed[name]]


def check_accounting(held, ends):
    """Each event exactly once: the outcomes of a partition sum up to its end offset."""
    problems = []
    for place, end in ends.items():
        next_offset, counts = held.get(place, (0, {}))
        if end > 0 and not sum(counts.values()) == next_offset == end:
            problems.append(f"{place}: {end} events in the log, offset {next_offset}, "
                            f"accounted for {sum(counts.values())}: {counts}")
    return problems


def check_rejected(url, records, malformed, topics):
    """The malformed records and no others, each once, with its bytes."""
    wanted = {(r.topic, r.partition, r.offset): r.value for r in records
              if r.topic in topics and (r.topic, r.value) in malformed}
    rows = query(url, 'SELECT topic, partition, "offset", raw FROM aggregator_state.rejected_events')
    got = {tuple(place): bytes(raw or b"") for *place, raw in rows if place[0] in topics}
    missing, extra = wanted.keys() - got.keys(), got.keys() - wanted.keys()
    problems = [f"{place} should have been rejected" for place in sorted(missing)[:5]]
    problems += [f"{place} should not have been rejected" for place in sorted(extra)[:5]]
    problems += [f"{place} was kept with other bytes" for place in wanted.keys() & got.keys()
                 if wanted[place] != got[place]]
    return problems


def check_published(records, acknowledged):
    """Every acknowledged record is in the log: checks the test itself."""
    logged = collections.Counter((r.topic, r.key, r.value) for r in records)
    lost = sum(1 for event, count in acknowledged.items() if logged[event] < count)
    return [f"Kafka lost {lost} events that it had acknowledged"] if lost else []


def paths(url, newest):
    """Every batch that the view knows, those of `newest` last; before them a page of every user."""
    batches = query(url, "SELECT batch_id FROM batch_results UNION SELECT slot_batch_id FROM "
                         "essay_results UNION SELECT result_batch_id FROM essay_results "
                         "UNION SELECT batch_id FROM phase_outcomes")
    age = {batch: number for number, batch in enumerate(newest)}
    known = sorted((batch for batch, in batches if batch), key=lambda b: (age.get(b, -1), b))
    users = query(url, "SELECT DISTINCT user_id FROM batch_results WHERE user_id IS NOT NULL")
    return [f"/internal/v1/batches/user/{user}?limit=20" for user, in users] + \
        [f"/internal/v1/batches/{batch}/status" for batch in known]


def difference(wanted, got):
    """The difference of two responses (status, body), as a short text."""
    if wanted[0] != got[0] or got[0] != 200:
        return f"status {got[0]}, not {wanted[0]}"
    there, here = json.loads(wanted[1]), json.loads(got[1])
    keys = [key for key in there if there[key] != here.get(key)]
    return ", ".join(f"{key}: {str(here.get(key))[:60]}, not {str(there[key])[:60]}"
                     for key in keys)


def read_answer(connection, path):
    """(status, body). A list that is still derived answers 503; each request goes on with it."""
    for _ in range(MOST_REQUESTS):
        connection.request("GET", path, headers=stack.HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 503:
            break
    return answer.status, body


def read_answers(program, where):
    """[(status, body)] over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=30)
    with contextlib.closing(connection):
        return [read_answer(connection, path) for path in where]


def check_answers(program, where, wanted):
    """A program's responses, cached or not, equal the undisturbed program's."""
    return [f"{program.folder.name} answers {path} otherwise: {difference(there, here)}"
            for path, there, here in zip(where, wanted, read_answers(program, where))
            if there != here]

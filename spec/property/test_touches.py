"""An event that changes a response touches one of the surrogate keys that the response had: else a cache
would keep it, and a live stream would not tell of it. The keys that an event touches are those that
`aggregator try` prints."""
import json
import os
import subprocess

import hypothesis
import strategies
from stack import ROOT
from test_convergence import save
from test_lists import batches_of
from workbench import Delivery

# Each of these is many responses.
FEW = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 30)
BATCHES = """
    SELECT wanted.id, a.body, coalesce(a.tags, ARRAY[wanted.id])  -- of a 404, as the route has them
    FROM unnest(%(batches)s::text[]) AS wanted (id) LEFT JOIN LATERAL batch_answer(wanted.id) AS a ON true"""
LISTS = """
    SELECT concat_ws(' ', users.id, filters.statuses::text, pages.size), page.body, page.tags
    FROM unnest(%(users)s::text[]) AS users (id)
    CROSS JOIN (SELECT NULL::text[] UNION ALL SELECT '{}' UNION ALL SELECT ARRAY[s::text]
      FROM unnest(enum_range(NULL::batch_result_status)) AS s) AS filters (statuses)
    CROSS JOIN (VALUES (1), (20)) AS pages (size)
    CROSS JOIN LATERAL tagged_list(users.id, filters.statuses, NULL, NULL, pages.size, 0) AS page"""


def touched(bench, records, folder):
    """For each record the ids that its event touches."""
    if not records:
        return []
    path = folder / "records.jsonl"
    path.write_text("".join((record if isinstance(record, str) else json.dumps(record)) + "\n"
                            for record in records))
    done = subprocess.run([bench.build / "aggregator", "try", path, "--json"], cwd=ROOT, text=True,
                          env=os.environ | bench.env, stdout=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1)
    ids = [set() for _ in records]
    for event in map(json.loads, done.stdout.splitlines()[:-1]):
        ids[event["line"] - 1] = set(event.get("touches", ()))
    return ids


def ids_of(records, names):
    """The texts under these names of the events' data."""
    found = set()
    for record in records:
        value = record.get("value") if isinstance(record, dict) else None
        data = value.get("data") if isinstance(value, dict) else None
        found |= {data[name] for name in names if isinstance(data, dict) and isinstance(data.get(name), str)
                  and "\0" not in data[name] and data[name].isprintable()}
    return sorted(found)


def responses(bench, about):
    return {(sql[:20], key): (body, tags) for sql in (BATCHES, LISTS)
            for key, body, tags in bench.query(sql, about)}


def check_each_change_touches(bench, records, delivery, folder):
    ids = touched(bench, records, folder)
    lines = {json.dumps(record, sort_keys=True): number for number, record in enumerate(records)}
    about = {"batches": ids_of(records, ("batch_id", "entity_id")), "users": ids_of(records, ("user_id",))}
    bench.reset()
    before, changed = responses(bench, about), 0
    for number, batch in batches_of(delivery, records):
        bench.run_lane(number, delivery.redis, [batch])
        after = responses(bench, about)
        bare = ({name: part for name, part in record.items() if name not in ("partition", "offset")}
                for record in batch)
        dropped = set().union(*(ids[lines[json.dumps(record, sort_keys=True)]] for record in bare))
        for key, (body, tags) in before.items():
            if after[key][0] != body and tags is not None:
                changed += 1
                assert dropped & set(tags), (key, body, after[key][0], tags, sorted(dropped))
        before = after
    return changed


@FEW
@hypothesis.given(strategies.cases())
def test_each_event_that_changes_a_response_touches_a_tag_of_it(bench, tmp_path_factory, case):
    records, delivery = case
    try:
        check_each_change_touches(bench, records, delivery, tmp_path_factory.mktemp("records"))
    except AssertionError:
        save(records, delivery)
        raise


def test_each_event_of_a_sample_stream_does_so_alone(bench, tmp_path):
    records = strategies.SAMPLE_STREAMS["current"][:20]
    delivery = Delivery([(number, 0, True) for number in range(len(records))])
    assert check_each_change_touches(bench, records, delivery, tmp_path) > 20

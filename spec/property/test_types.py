"""Every type and rule of the view converges, sets and counts of distinct ids above all: a service of
its own (spec/fixtures/typed), its events in any delivery, and a model that shares no code with it."""
import uuid

import events
import hypothesis
import strategies
from hypothesis import strategies as st
from test_convergence import check_accounts
from test_interruptions import deliver_with_kills

TOPIC = "readings.v1"
DEVICES = ["0123abcd-4567-89ef-0123-456789abcdef", "fa23abcd-4567-89ef-0123-456789abcdef"]
DAYS = ["0001-01-01", "2026-02-28", "9999-12-31"]
COUNTERS = [0, -1, 2**53, 2**53 + 1, -2**63, 2**63 - 1]
# as bytes they sort in another way than in most collations; NULL and braces need quotes
TAGS = ["a", "B", "å", "😀", "", "NULL", "{,}", "quote\"'\\", "a b"]

device = st.sampled_from(DEVICES)
counter = st.sampled_from(COUNTERS)
data = st.fixed_dictionaries({
    "device_id": device | device.map(str.upper),
    "day": st.sampled_from(DAYS), "counter": counter | counter.map(str),
    "owner_id": st.none() | device.map(lambda text: text.replace("-", "")),
    "due_on": st.none() | st.sampled_from(DAYS),
    "tags": st.lists(st.sampled_from(TAGS), max_size=4),
    "source": st.none() | st.sampled_from(["s1", "s2", "s3", "s4", ""])})
POISON = [("counter", 2**63), ("counter", "1.0"), ("day", "2026-02-29"), ("owner_id", "x"),
          ("tags", "a")]


@st.composite
def cases(draw):
    records = []
    for index in range(draw(st.integers(0, 14))):
        value = draw(data)
        poison = draw(st.integers(0, 9)) == 0
        if poison:
            name, wrong = draw(st.sampled_from(POISON))
            value |= {name: wrong}
        number = (draw(st.integers(0, 3)) << 120) + index
        record = events.record(number, draw(strategies.moment), (TOPIC, value))
        records.append(record | ({"poison": True} if poison else {}))
    return records, draw(strategies.deliveries(records))


# ---- the rules, once more

def version_of(record):
    value = record["value"]
    return value["event_timestamp"].replace("+00:00", "Z"), value["event_id"]


def plain_uuid(text):
    return text and str(uuid.UUID(text))


def values_of(records, name, change=lambda value: value):
    return [change(record["value"]["data"][name]) for record in records
            if record["value"]["data"][name] is not None]


def least(items, limit=1000, key=None):
    return sorted(set(items), key=key)[:limit]


def tags_of(records, limit=1000):
    return least([tag for tags in values_of(records, "tags") for tag in tags], limit,
                 str.encode)


def reading(records):
    newest = max(records, key=version_of)["value"]["data"]
    owners = values_of(records, "owner_id", plain_uuid)
    dues = values_of(records, "due_on")
    owner, due = plain_uuid(newest["owner_id"]), newest["due_on"]
    return {
        "counter": int(newest["counter"]), "owner_id": owner, "due_on": due,
        "counters": [int(newest["counter"]), -1], "owner_ids": [owner] if owner else [],
        "due_days": [newest["day"], due] if due else [newest["day"]],
        "lowest_counter": min(values_of(records, "counter", int)),
        "first_due_on": min(dues, default=None), "last_owner_id": max(owners, default=None),
        "tags": tags_of(records, 3), "all_owner_ids": least(owners) or None,
        "all_counters": least(values_of(records, "counter", int), 4),
        "all_due_days": least(dues) or None,
        "source_count": min(3, len(set(values_of(records, "source"))))}


def expected(records):
    good = [record for record in records if "poison" not in record]
    readings, totals = {}, {}
    for record in good:
        said = record["value"]["data"]
        readings.setdefault((plain_uuid(said["device_id"]), said["day"]), []).append(record)
        totals.setdefault(int(said["counter"]), []).append(record)
    return {key: reading(of) for key, of in readings.items()}, {
        key: {"tags": tags_of(of), "device_count": len(set(values_of(of, "device_id", plain_uuid)))}
        for key, of in totals.items()}


READINGS = """SELECT device_id::text, day::text, to_jsonb(r) - '{device_id,day,reading_at,
    reading_event_id,sources_sources}'::text[] FROM readings r"""
TOTALS = "SELECT counter, to_jsonb(t) - '{counter,devices_sources}'::text[] FROM totals t"


def check(bench, records):
    readings = {(device_id, day): row for device_id, day, row in bench.query(READINGS)}
    assert (readings, dict(bench.query(TOTALS))) == expected(records)


# ---- tests

@hypothesis.settings(max_examples=hypothesis.settings().max_examples // 8)
@hypothesis.given(cases())
def test_every_type_and_rule_converges_in_any_delivery(typed, case):
    records, delivery = case
    typed.apply(records)
    check(typed, records)
    reference = typed.dump()
    typed.apply(records, delivery)
    assert typed.dump() == reference
    check_accounts(typed, records, delivery)


@hypothesis.settings(max_examples=hypothesis.settings().max_examples // 20)
@hypothesis.given(cases(), st.randoms(use_true_random=True))
def test_kills_and_replays_change_no_set_and_no_count(typed, case, chance):
    records, delivery = case
    typed.apply(records)
    reference = typed.dump()
    typed.reset()
    deliver_with_kills(typed, records, delivery, chance)
    assert typed.dump() == reference
    typed.query("UPDATE aggregator_state.consumer_offsets SET fresh_offset = next_offset, "
                "next_offset = 0")
    typed.forget_offsets()
    typed.deliver(records, delivery)
    assert typed.dump() == reference

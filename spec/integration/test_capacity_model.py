"""The model of tools/capacity: its figures, needs, limits and errors. It starts no server."""
import dataclasses
import json
import subprocess

import pytest
from capacity import figures as figures_file
from capacity import limits, measure, model
from capacity.site import Site, make_site
from stack import ROOT

UNIT = {"events": 10, "rows": 5, "kafka_bytes": 15000, "table_bytes": 6000, "index_bytes": 2000,
        "outbox_bytes": 1000, "redis_bytes": 2000, "response_bytes": 5000,
        "query_own_us": 200, "query_postgres_us": 1000, "query_ms": 2, "hit_own_us": 10}
# A transaction takes 400, 900 and 100 µs, and 20, 40 and 5 for each of its events; 300 bytes, and 1,000.
SHARED = [{"events": events, "own_us": 10 * (400 / events + 20),
           "postgres_us": 10 * (900 / events + 40), "redis_us": 10 * (100 / events + 5),
           "wal_bytes": 10 * (300 / events + 1000)} for events in (2, 10, 4000)]
COMMON = {"idle_own_us": 1000, "idle_postgres_us": 1000,
          "idle_redis_us": 500, "idle_mb": 25, "worker_mb": 40, "tag_bytes": 360,
          "growth_per_decade": 0.4, "measured_rows": 10000}


def twice(table):
    return {key: value * (1 if key == "events" else 2) for key, value in table.items()}


DOCUMENT = {"about": {"date": "2026-11-30"}, "unit": "batch", "part": "essay", "common": COMMON,
            "sizes": {"10": UNIT | {"shared": SHARED},
                      "20": {key: value * 2 for key, value in UNIT.items()} |
                      {"shared": [twice(one) for one in SHARED]}}}
FIGURES = figures_file.parse(DOCUMENT)
# What must not fall as one of these grows; the others are what a site has.
LOADS = ("events", "queries", "peak", "days", "hot_days", "kafka_days", "kafka_copies", "seen_s",
         "ttl_s", "outbox_days", "processes", "workers", "states")


def site(**values):
    return make_site(**{"events": 1000, "queries": 100, "essays": 10, "partitions": 64} | values)


def values_of(wanted):
    return {(server, what): need.value for server, found in model.needs(wanted, FIGURES).items()
            for what, need in found.items()}


@pytest.mark.parametrize("name", LOADS)
def test_no_need_falls_as_an_input_grows(name):
    start = site(**{name: 1})
    now = values_of(start)
    for factor in (2, 10, 100):
        then = values_of(dataclasses.replace(start, **{name: factor}))
        assert all(then[key] >= now[key] * (1 - 1e-9) for key in now), name
        now = then


def test_some_need_grows_with_each_part_of_the_load():
    for name in ("events", "queries", "peak", "days", "kafka_days", "seen_s", "ttl_s", "outbox_days"):
        asked = name in ("queries", "ttl_s")
        load = {"events": 1, "queries": 1000} if asked else {"events": 1000, "queries": 0}
        low, high = (values_of(site(**load | {name: value})) for value in (1, 1000))
        assert any(high[key] > low[key] * 1.01 for key in low), name


def test_a_higher_hit_ratio_needs_less_of_postgres():
    low, high = values_of(site(hit_ratio=0.5)), values_of(site(hit_ratio=0.9))
    assert high["Postgres", "processors"] < low["Postgres", "processors"]


def test_bytes_are_those_of_the_units_that_are_kept():
    found = values_of(site(events=100, essays=10, days=10, hot_days=1, outbox_days=2, kafka_days=3,
                           kafka_copies=2, queries=0, seen_s=86400))
    units_a_day = 100 / 10 * 86400
    assert found["Postgres", "disk"] == pytest.approx(units_a_day * (10 * 8000 + 2 * 1000) / 1e9)
    assert found["Postgres", "memory"] == pytest.approx(units_a_day * (10 * 2000 + 6000) / 1e9)
    assert found["Kafka", "disk"] == pytest.approx(units_a_day * 3 * 2 * 15000 / 1e9)
    assert found["Redis", "memory"] == pytest.approx(units_a_day * 2000 / 1e9)
    assert found["Postgres", "log"] == pytest.approx(100 * 1300 / 1e6)  # an event a transaction


@pytest.mark.parametrize("rate, wait_ms", [(1000, 0), (3000, 0), (12000, 0), (500, 4), (3000, 20)])
def test_as_many_events_share_a_transaction_as_come_during_one(rate, wait_ms):
    load = model.Load(site(events=rate, wait_ms=wait_ms), FIGURES)
    events = rate / load.transactions
    turn_us = 1400 + 65 * events + wait_ms * 1000
    assert events > 1 and load.transactions == pytest.approx(1e6 / turn_us)


def test_slow_events_have_a_transaction_each():
    for rate in (1, 100, 600):  # a turn takes 1.465 ms
        assert model.Load(site(events=rate), FIGURES).transactions == pytest.approx(rate)


def test_a_full_transaction_takes_no_more_events():
    for rate in (20000, 200000):
        assert model.Load(site(events=rate), FIGURES).transactions == pytest.approx(rate / 4000)


def test_workers_have_transactions_of_their_own():
    alone, four = (model.Load(site(events=12000, workers=workers), FIGURES) for workers in (1, 4))
    each = model.Load(site(events=3000), FIGURES)
    assert four.transactions == pytest.approx(4 * each.transactions)
    assert four.transactions > 2 * alone.transactions


def test_processors_are_those_of_events_transactions_and_queries():
    load = model.Load(site(events=500, queries=0, days=0), FIGURES)
    assert model.process_cores(load) == pytest.approx((500 * 420 + 1000) / 1e6)
    assert model.primary_cores(load) == pytest.approx((500 * 940 + 1000) / 1e6)
    assert model.redis_cores(load) == pytest.approx((500 * 105 + 500) / 1e6)
    full = model.Load(site(events=50000, queries=0, days=0), FIGURES)
    assert model.primary_cores(full) == pytest.approx((50000 * (40 + 900 / 4000) + 1000) / 1e6)
    asked = model.Load(site(events=0, queries=100, hit_ratio=0.5), FIGURES)
    assert model.query_cores(asked) == pytest.approx(50 * 1000 / 1e6)
    assert model.process_cores(asked) == pytest.approx((50 * 200 + 50 * 10 + 1000) / 1e6)


def test_busy_processors_are_no_limit_while_transactions_can_grow():
    given = site(events=1000, queries=0, days=0, postgres_cores=0.1)
    load = model.Load(given, FIGURES)
    assert model.primary_cores(load) > 0.1 > model.primary_cores(load, model.Load.least)
    found = {limit.name: limit for limit in limits.limits(given, FIGURES)}["Postgres' processors"]
    assert found.needs == pytest.approx((1000 * (40 + 900 / 4000) + 1000) / 1e6)
    assert found.factor > 2


def test_a_worker_is_wanted_for_each_part_of_what_one_drains():
    # Postgres' 40 µs an event are the longer part: it drains 25,000 a second, of which 0.7 are planned.
    assert [model.wanted_workers(model.Load(site(events=events, days=0), FIGURES))
            for events in (0, 17000, 18000, 50000)] == [1, 1, 2, 3]
    waits = model.Load(site(events=17000, days=0, wait_ms=200), FIGURES)  # a turn of 360 ms
    assert model.wanted_workers(waits) == 3


def test_a_larger_view_makes_writes_dearer():
    small, large = (model.Load(site(days=days), FIGURES) for days in (0, 365))
    assert small.growth() == 1
    rows = 100 * 86400 * 365 * 5
    assert large.growth() == pytest.approx(1 + 0.4 * (len(str(rows)) - 5), rel=0.1)


def test_replicas_answer_the_queries():
    alone, with_two = values_of(site(replicas=0)), values_of(site(replicas=2))
    queries = alone["Postgres", "processors"] - with_two["Postgres", "processors"]
    assert queries == pytest.approx(10 * 1000 / 1e6)
    assert with_two["Postgres", "processors of a replica"] == pytest.approx(queries / 2)


def test_units_of_other_sizes_lie_on_the_line_and_never_fall():
    assert FIGURES.at(15).table_bytes == 9000
    assert FIGURES.at(30).table_bytes == 18000
    assert [one.own_us for one in FIGURES.shared_of(15)] == pytest.approx(
        [1.5 * one.own_us for one in FIGURES.shared_of(10)])
    units = [FIGURES.at(parts) for parts in (1, 2, 5, 10, 15, 20, 1000)]
    for key in figures_file.UNIT_KEYS:
        found = [getattr(unit, key) for unit in units]
        assert found == sorted(found) and found[0] > 0, key


def test_what_a_unit_takes_falls_with_the_events_of_a_transaction():
    noisy = [SHARED[0], SHARED[1], SHARED[2] | {"own_us": 10 * SHARED[1]["own_us"]}]
    found = figures_file.parse(DOCUMENT | {"sizes": {"10": UNIT | {"shared": noisy}}})
    for figures in (FIGURES, found):
        shared = figures.shared_of(10)
        assert [one.events for one in shared] == [1, 2, 10, 4000]
        for key in figures_file.TAKEN_KEYS:
            values = [getattr(one, key) for one in shared]
            assert values == sorted(values, reverse=True), key
    assert FIGURES.shared_of(10)[0].own_us == pytest.approx(10 * 420)


def test_paces_of_a_busy_machine_that_share_alike_are_one():
    found = measure.told_apart(figures_file.Shared(**one | {"events": events}) for one, events in zip(
        [*SHARED, *SHARED[1:]], (1, 1.2, 3000, 40, 3200)))
    assert [one.events for one in found] == [1, 40, 3000]


def test_the_load_of_a_limit_needs_what_the_site_has():
    given = site(days=30, disk_gb=1000, redis_gb=10)
    found = limits.limits(given, FIGURES)
    assert [limit.factor for limit in found] == sorted(limit.factor for limit in found)
    needs = {name: need for name, _, _, need, _ in limits.rows(given)}
    for limit in found:
        at_limit = model.Load(given.scaled(limit.factor), FIGURES)
        assert needs[limit.name](at_limit) == pytest.approx(limit.has, rel=1e-6), limit.name


def test_the_first_limit_is_the_one_that_is_made_scarce():
    for scarce, name in (({"postgres_cores": 0.2}, "Postgres' processors"),
                         ({"disk_gb": 1}, "the size of Postgres' disk"),
                         ({"redis_gb": 0.05}, "Redis' memory"),
                         ({"network_mb_s": 0.1}, "Kafka's network"),
                         ({"log_mb_s": 0.1}, "the disk of Postgres' log")):
        assert limits.limits(site(**scarce), FIGURES)[0].name == name


def run(*arguments):
    return subprocess.run([ROOT / "tools/capacity", *map(str, arguments)], capture_output=True,
                          text=True, check=False)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("capacity") / "figures.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_the_table_names_the_first_limit_and_what_does_not_fit(file):
    done = run("--figures", file, "--events", 1000, "--essays", 10, "--postgres-cores", "0.1",
               "--processes", 12)
    assert done.returncode == 0, done.stderr
    first = done.stdout.split("limits, the first to come first\n")[1].splitlines()[0]
    assert first.startswith("  Postgres' processors") and "of 0.1 cores" in first
    assert "this load is beyond the limit of Postgres' processors" in done.stdout
    assert "connections are more than --max-connections 100: docs/operate/poolers.md" in done.stdout
    assert "9 workers have no partition" in done.stdout


def test_json_has_the_same(file):
    found = json.loads(run("--figures", file, "--events", 1000, "--json").stdout)
    assert found["site"]["essays"] == 30
    assert found["needs"]["Postgres"]["disk"]["unit"] == "GB"
    assert found["limits"][0]["factor"] > 1 and found["warnings"] == []


def test_bad_input_gets_a_line_for_each_mistake(file):
    done = run("--figures", file, "--hit-ratio", "1.2", "--processes", "1.5", "--days", "many")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.splitlines() == [
        "capacity: --events is missing: events a second, the mean of a day",
        "capacity: --hit-ratio: 1.2 is not within 0 to 1 (share of queries that a cache answers)",
        "capacity: --days: \"many\" is no number (days that Postgres keeps)",
        "capacity: --processes: 1.5 is no whole number (processes of the program)"]


@pytest.mark.parametrize("change, text", [
    ({"common": {}}, "common: idle_own_us"), ({"sizes": {}}, "there is no unit"),
    ({"sizes": {"10": UNIT | {"events": 0}}}, "a unit has no events"),
    ({"sizes": {"10": UNIT | {"table_bytes": "much"}}}, "sizes.10: table_bytes"),
    ({"sizes": {"10": UNIT}}, "sizes.10: shared: there is none"),
    ({"sizes": {"10": UNIT | {"shared": [SHARED[0] | {"own_us": -1}]}}}, "sizes.10.shared: own_us"),
    ({"sizes": {"10": UNIT | {"shared": [SHARED[0], SHARED[0]]}}}, "each number is another one"),
    ({"sizes": {"10": UNIT | {"shared": [SHARED[0] | {"events": 0.5}]}}}, "events are at least 1")])
def test_a_file_of_figures_that_is_wrong_is_named(tmp_path, change, text):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(DOCUMENT | change))
    with pytest.raises(ValueError, match="wrong.json: .*" + text):
        figures_file.load(path)


# Two idle cores, 30 November 2026: events and queries a second, share of these from caches; cores of
# the program and of Postgres, and transactions a second.
LOADS_OF_AN_IDLE_MACHINE = ((200, 20, 0.79, 0.117, 0.179, 190), (2000, 100, 0.99, 0.317, 0.520, 372),
                            (8000, 200, 1, 0.346, 0.530, 106))


@pytest.mark.parametrize("events, queries, hit_ratio, own, postgres, transactions",
                         LOADS_OF_AN_IDLE_MACHINE)
def test_the_shipped_figures_give_what_an_idle_machine_took(events, queries, hit_ratio, own, postgres,
                                                            transactions):
    load = model.Load(make_site(events=events, queries=queries, hit_ratio=hit_ratio, essays=20, days=0),
                      figures_file.load(figures_file.SHIPPED))
    for predicted, measured in ((model.process_cores(load), own), (model.primary_cores(load), postgres),
                                (load.transactions, transactions)):
        assert 0.7 < predicted / measured < 1.4


def test_the_shipped_figures_are_whole():
    found = figures_file.load(figures_file.SHIPPED)
    assert sorted(found.sizes) == [5, 40] and found.about["date"]
    needs = model.needs(Site(events=1000), found)
    assert 0.01 < needs["Postgres"]["processors"].value < 1

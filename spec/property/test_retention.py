"""The view at a horizon is a function of the events and the horizon: not of the order, the number and
the cuts of deliveries, nor of when rows were deleted. Two things are given (docs/ARCHITECTURE.md): each event
is delivered before the horizon has passed it by the span, and no event about a batch is newer than its
registration by more than the span."""
import contextlib
import datetime

import events
import hypothesis
import psycopg2
import pytest
import strategies
from hypothesis import strategies as st
from test_convergence import same
from test_interruptions import commit_until_taken

DAY_US = 86400 * 1_000_000
SPAN_US = 2 * DAY_US
START_US = int((events.START - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds()) * 1_000_000
BATCHES = ["batch-1", "batch-2", "batch-3"]

after = st.integers(-1, 4).map(lambda halves: halves * DAY_US // 2)  # up to the span


def essays_of(batch_id):
    """A row leaves with one batch: no essay is in two."""
    return [f"{batch_id}-essay-{number}" for number in (1, 2)]


def event_of(draw, kind, batch_id, at_us):
    essay = draw(st.sampled_from(essays_of(batch_id)))
    if kind == "slot":
        return events.slot(at_us, batch_id, essay, draw(strategies.text))
    if kind == "spellcheck":
        return events.spellcheck(at_us, essay, batch_id, "spellchecked_success", draw(strategies.count), "corr-1", None)
    if kind == "outcome":
        return events.outcome(batch_id, "spellcheck", "completed_successfully", [essay], [], events.OUTCOME,
                              events.CORRELATION)
    if kind == "rankings":
        return events.rankings(at_us, batch_id, [(essay, 1, 0.5)])
    return events.completed(at_us, batch_id, "completed_successfully", 1, 0, events.CORRELATION)


@st.composite
def streams(draw):
    """Records, their times, and the times of the batches' registrations."""
    records, times, registered = [], [], {}
    for batch_id in BATCHES[:draw(st.integers(1, 3))]:
        day_us = draw(st.integers(0, 9)) * DAY_US
        for at_us in [day_us] + [day_us + SPAN_US // 4] * draw(st.integers(0, 1)):
            records.append((events.registered("current", at_us, batch_id, essays_of(batch_id)), at_us))
        registered[batch_id] = START_US + day_us
        for _ in range(draw(st.integers(0, 5))):
            at_us = day_us + draw(after)
            kind = draw(st.sampled_from(["slot", "spellcheck", "outcome", "rankings", "completed"]))
            records.append((event_of(draw, kind, batch_id, at_us), at_us))
    times = [START_US + at_us for _, at_us in records]
    return [events.record(number, at_us, event) for number, (event, at_us) in enumerate(records)], times, registered


@st.composite
def cases(draw):
    """A stream, and its delivery: indexes of records (each at least once) and horizons between them."""
    records, times, registered = draw(streams())
    order = draw(st.permutations(range(len(records))))
    copies = draw(st.lists(st.sampled_from(order), max_size=6))
    last = START_US + draw(st.integers(0, 12)) * DAY_US
    steps, seen = [], set()
    for index in [*order, *copies]:
        steps.append(("event", index))
        seen.add(index)
        if draw(st.integers(0, 2)) == 0:
            waiting = [times[other] for other in range(len(records)) if other not in seen]
            latest = min([last, *(at_us - SPAN_US for at_us in waiting)])
            steps.append(("sweep", latest - draw(st.integers(0, 2)) * DAY_US))
    return records, registered, [*steps, ("sweep", last)]


def deliver(bench, records, steps):
    """Two processes take the events in turn; the other one deletes."""
    offsets, turn = {}, 0
    for kind, value in steps:
        turn += 1
        process = bench.process(turn % 2, False)
        if kind == "sweep":
            assert process.sweep(value) == "ok"
            continue
        record = records[value]
        place = (record["topic"], turn % 2)
        offset = offsets[place] = offsets.get(place, -1) + 1
        commit_until_taken(process, [record | {"partition": turn % 2, "offset": offset}])


def without_dead(tables, registered, horizon_us):
    dead = tuple(batch_id for batch_id, at_us in registered.items() if at_us < horizon_us)
    return {table: [line for line in text.splitlines() if not line.startswith(dead)] if dead else text.splitlines()
            for table, text in tables.items()}


@hypothesis.settings(max_examples=hypothesis.settings().max_examples // 30)
@hypothesis.given(cases())
def test_the_view_at_a_horizon_is_the_merged_view_without_what_has_left(retaining, case):
    records, registered, steps = case
    horizon_us = steps[-1][1]
    retaining.apply(records)
    merged = retaining.dump()
    deliver(retaining, [], [("sweep", horizon_us)])
    reference = retaining.everything()
    assert {table: text.splitlines() for table, text in reference["tables"].items()} == without_dead(
        merged, registered, horizon_us)
    retaining.reset()
    deliver(retaining, records, steps)
    same(reference, retaining.everything())
    accounts = retaining.accounts()
    assert sum(accounts.values()) == sum(kind == "event" for kind, _ in steps), accounts


def test_an_event_of_what_has_left_is_expired_and_one_of_what_stays_is_not(retaining):
    day = [events.record(number, number * DAY_US, events.registered(
        "current", number * DAY_US, f"batch-{number}", [])) for number in range(5)]
    retaining.reset()
    deliver(retaining, day, [("event", 0), ("event", 4), ("sweep", START_US + DAY_US), ("event", 0), ("event", 4)])
    assert list(retaining.answers()) == ["batch-4"]
    deliver_again = retaining.accounts()
    assert (deliver_again["expired"], deliver_again["applied"] + deliver_again["superseded"]) == (1, 3)


def test_a_horizon_never_moves_back(retaining):
    retaining.reset()
    process = retaining.process(0, False)
    assert process.sweep(START_US + DAY_US) == process.sweep(START_US) == "ok"
    assert retaining.query("SELECT extract(epoch FROM horizon)::int8 * 1000000, expired_before - horizon = '2 days' "
                           "FROM aggregator_state.retention") == [(START_US + DAY_US, True)]


@pytest.mark.parametrize("known", [True, False])
def test_only_the_move_of_the_horizon_waits_for_batches_that_hold_it(retaining, known):
    retaining.reset()
    process = retaining.process(0, False)
    expected = None
    if known:
        retaining.query("INSERT INTO aggregator_state.retention (root, horizon, expired_before, moved_at) VALUES "
                        "('batch_results', to_timestamp(0), to_timestamp(9), now())")
        expected = datetime.datetime.fromtimestamp(9, datetime.timezone.utc)
    records = [events.record(number, number * DAY_US, events.registered(
        "current", number * DAY_US, f"batch-{number}", [])) for number in range(2)]
    deliver(retaining, records, [("event", 0), ("event", 1)])
    with contextlib.closing(psycopg2.connect(retaining.connection.dsn)) as batch, batch.cursor() as cursor:
        cursor.execute("SELECT aggregator_state.hold_horizon('batch_results', %s)", [expected])
        assert "lock timeout" in process.sweep(START_US + DAY_US)
        batch.rollback()
        assert process.sweep(START_US + DAY_US) == "ok"
        moved = retaining.query("UPDATE aggregator_state.retention SET horizon = horizon + '1 day', swept_at = NULL "
                                "RETURNING expired_before")[0][0]
        cursor.execute("SELECT aggregator_state.hold_horizon('batch_results', %s)", [moved])
        assert process.sweep(START_US) == "ok", "the horizon stays, and rows leave"
    assert retaining.answers() == {}
    assert retaining.query("SELECT removed, swept_at IS NULL FROM aggregator_state.retention") == [(2, False)]


def test_no_row_leaves_while_a_rebuild_holds_the_horizon(retaining):
    retaining.reset()
    process = retaining.process(0, False)
    retaining.query("SELECT pg_advisory_lock_shared(7236019)")
    assert process.sweep(START_US) == "busy: another process sweeps"
    retaining.query("SELECT pg_advisory_unlock_shared(7236019)")
    assert process.sweep(START_US) == "ok"

"""Kills between an event and Kafka: each fact is published at least once, always under one id with
one content; a rolled-back transaction publishes nothing."""
import events
import hypothesis
import publishing
import pytest
import strategies
from hypothesis import strategies as st
from workbench import Delivery

# Each is several lives of processes.
FEW = hypothesis.settings(max_examples=max(1, hypothesis.settings().max_examples // 20))
FAULT = st.tuples(st.sampled_from(publishing.POINTS), st.integers(1, 3))


def run(world, records, delivery, faults):
    world.reset()
    world.deliver(records, delivery, faults)
    publishing.check(records, *world.read())


@FEW
@hypothesis.given(strategies.cases() | strategies.sample_cases(),
                  st.lists(FAULT, min_size=1, max_size=3))
def test_each_fact_is_published_with_one_id_whatever_is_killed(world, case, faults):
    run(world, *case, faults)


@pytest.mark.parametrize("point", publishing.POINTS)
def test_a_kill_at_each_point_loses_and_changes_no_fact(world, point):
    records = strategies.SAMPLE_STREAMS["current"]
    steps = [(index, 0, index % 20 == 19) for index in range(len(records))]
    run(world, records, Delivery(steps), [(point, 1), (point, 2)])
    assert world.reached[0] == (point, 1)


def test_what_comes_after_the_end_of_a_run_leaves_no_fact_unpublished(world):
    """Such as the result of an essay: the reaction does not follow its table."""
    said = [events.registered("current", 0, "batch-1", ["essay-1", "essay-2"]),
            events.completed(2, "batch-1", "completed_successfully", 2, 0),
            events.assessment(1, "batch-1", [("essay-1", 1, 2.5, False)]),
            events.spellcheck(1, "essay-1", "batch-1")]
    records = [events.record(number, number, event) for number, event in enumerate(said)]
    lane = Delivery([(number, 0, True) for number in range(len(said))]).lanes(records)[0]
    world.reset()
    for batch in filter(None, lane):
        assert world.live([batch], None) == []
    publishing.check(records, *world.read())


def test_a_transaction_that_is_rolled_back_publishes_nothing(world):
    records = strategies.SAMPLE_STREAMS["current"]
    lanes = Delivery.in_order(len(records)).lanes(records)
    world.reset()
    assert world.live(lanes[0], ("before_commit", 1)) == lanes[0]
    world.live([], None)
    assert world.read() == ([], [])

"""Failures, restarts and contention change neither the view nor the accounting."""
import events
import hypothesis
import strategies
from events import record
from hypothesis import strategies as st
from test_convergence import check_accounts, same, save
from workbench import Delivery

# Each of these is many deliveries.
FEW = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 10)
PATIENCE = 100
ANY_CASE = strategies.cases() | strategies.sample_cases()


def commit_until_taken(process, batch):
    """A conflict is somebody else's commit, or one's own of which the answer was lost: the offsets
    say where to go on, and the same batch is offered again."""
    for _ in range(PATIENCE):
        answer = process.commit(batch)
        if answer == "ok":
            return
        assert answer.startswith("conflict: "), answer
    raise AssertionError(f"no progress after {PATIENCE} conflicts")


def reference_of(bench, records):
    bench.apply(records)
    return bench.everything()


def check_undisturbed(bench, reference, records, delivery):
    try:
        same(reference, bench.everything())
        check_accounts(bench, records, delivery)
    except AssertionError:
        save(records, delivery)
        raise


@FEW
@hypothesis.given(ANY_CASE, st.data())
def test_a_prefix_applied_twice_changes_nothing(bench, case, data):
    records, delivery = case
    reference = reference_of(bench, records)
    bench.reset()
    prefix = data.draw(st.integers(0, len(delivery.steps)))
    bench.deliver(records, Delivery(delivery.steps[:prefix], delivery.redis))
    # as a replay does: below fresh_offset Redis' memory is passed by
    bench.query("UPDATE aggregator_state.consumer_offsets SET fresh_offset = next_offset, next_offset = 0")
    bench.forget_offsets()
    bench.deliver(records, delivery)
    same(reference, bench.everything())


def test_a_replay_handles_events_again_despite_processed_ids(bench):
    """Both a record and its copy, although processed ids would skip the copy."""
    slot = record(1, 0, events.slot(0, "batch-1", "essay-1"))
    twice = Delivery([(0, 0, True), (0, 0, True)], redis=True)
    bench.apply([slot], twice)
    assert bench.accounts() | {"applied": 1, "duplicate": 1} == bench.accounts()
    bench.query("UPDATE aggregator_state.consumer_offsets SET fresh_offset = next_offset, next_offset = 1")
    bench.forget_offsets()
    bench.deliver([slot], twice)
    assert bench.accounts() | {"applied": 2, "duplicate": 1} == bench.accounts()


@FEW
@hypothesis.given(ANY_CASE, st.data())
def test_an_emptied_database_is_filled_again_despite_processed_ids(bench, case, data):
    records, delivery = case
    reference = reference_of(bench, records)
    bench.reset()
    prefix = data.draw(st.integers(0, len(delivery.steps)))
    bench.deliver(records, Delivery(delivery.steps[:prefix], True))
    bench.empty()
    bench.deliver(records, Delivery(delivery.steps, True))
    same(reference, bench.everything())


def deliver_with_kills(bench, records, delivery, chance):
    def run(batches):
        process = bench.start(delivery.redis)
        for batch in batches:
            if chance.random() < 0.4:
                process.send(batch)
                process.answered_within_ms(chance.choice([0, 0, 1, 2, 5, 1000]))
                process.kill()
                process = bench.start(delivery.redis)
            commit_until_taken(process, batch)
        assert process.close() == 0

    for lane in [bench.threads.submit(run, batches)
                 for batches in delivery.lanes(records).values()]:
        lane.result()


@FEW
@hypothesis.given(ANY_CASE, st.randoms(use_true_random=True))
def test_processes_killed_at_any_moment_lose_and_double_nothing(bench, case, chance):
    records, delivery = case
    reference = reference_of(bench, records)
    bench.reset()
    deliver_with_kills(bench, records, delivery, chance)
    check_undisturbed(bench, reference, records, delivery)


@FEW
@hypothesis.given(ANY_CASE)
def test_two_owners_of_the_same_partitions_double_nothing(bench, case):
    """Both own all partitions: the offsets' compare-and-set accepts one."""
    records, delivery = case
    reference = reference_of(bench, records)
    bench.reset()
    steps = [(index, 0, ends) for index, _, ends in delivery.steps]
    batches = Delivery(steps).lanes(records).get(0, [])

    def run(number):
        for batch in batches:
            commit_until_taken(bench.process(number, delivery.redis), batch)

    for owner in [bench.threads.submit(run, number) for number in range(2)]:
        owner.result()
    check_undisturbed(bench, reference, records, delivery)

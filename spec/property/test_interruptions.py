"""Failures, restarts and contention change neither the view nor the accounting."""
import contextlib

import events
import hypothesis
import psycopg2
import pytest
import strategies
from events import record
from hypothesis import strategies as st
from stack import wait_until
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


# The third write of one essay waits for the test.
REFUSE = """CREATE SEQUENCE passings;
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.essay_id = TG_ARGV[0] AND nextval('passings') = 3 THEN
      WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77) LOOP
        PERFORM pg_sleep(0.01);
      END LOOP;
    END IF;
    IF NEW.filename = 'bad' THEN
      RAISE EXCEPTION 'refused by the test' USING ERRCODE = '23514';
    END IF;
    RETURN NEW; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON essay_results FOR EACH ROW EXECUTE FUNCTION refuse('{}')"""
WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@contextlib.contextmanager
def refusing(bench, pausing):
    bench.query(REFUSE.format(pausing))
    try:
        yield
    finally:
        bench.query("DROP FUNCTION refuse CASCADE; DROP SEQUENCE passings")


@pytest.mark.parametrize("bad, pausing", [("essay-1", "essay-1"), ("essay-4", "essay-3")],
                         ids=["before", "behind"])
def test_the_search_for_a_refused_event_waits_for_no_transaction_that_waits_for_it(bench, bad, pausing):
    """It writes the rows of one range, essay-3, behind them those of another, essay-2. Another transaction
    takes these two in the order of keys, as all do. The refused row is before them or behind them."""
    bench.reset()
    process = bench.process(0, False)
    records = [record(number, number, events.slot(number, "batch-1", essay, name)) for number, (essay, name) in
               enumerate([("essay-3", "good"), (bad, "bad"), ("essay-2", "good")])]
    with refusing(bench, pausing), contextlib.closing(psycopg2.connect(bench.connection.dsn)) as other, \
            other.cursor() as cursor:
        process.send(Delivery.in_order(3).lanes(records)[0][0])
        wait_until("the pause", lambda: bench.query("SELECT last_value >= 3 FROM passings")[0][0])
        cursor.execute("INSERT INTO essay_results (essay_id) VALUES ('essay-2')")
        cursor.execute("SELECT pg_advisory_xact_lock(77)")
        wait_until("the search to wait for essay-2", lambda: bench.query(WAITS))
        cursor.execute("INSERT INTO essay_results (essay_id) VALUES ('essay-3')")
        other.rollback()
        assert process.answer() == "ok"
    assert bench.query("SELECT essay_id FROM essay_results ORDER BY 1") == [("essay-2",), ("essay-3",)]
    assert (bench.accounts()["applied"], bench.accounts()["rejected"]) == (2, 1)

"""The view is a function of the set of events: not of their order, their number, their cuts, the
processes that took them, nor of what failed meanwhile; and it is the one that the rules state.

A failing stream is shrunk and written to regressions/, whose files are applied first in every run.
"""
import json
import pathlib

import hypothesis
import model
import pytest
import strategies
from hypothesis import strategies as st
from workbench import Delivery

REGRESSIONS = pathlib.Path(__file__).parent / "regressions"


def load(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if "topic" in line], [line for line in lines
                                                         if "delivery" in line]


def save(records, delivery):
    """Overwritten while hypothesis shrinks: the smallest stands at the end."""
    path = REGRESSIONS / f"found-{hypothesis.core.global_force_seed}.jsonl"
    lines = [{"delivery": delivery.to_json()}, *records]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def same(expected, got):
    """Compares what Workbench.everything() gives; names the first difference."""
    for part, values in expected.items():
        for key in {**values, **got[part]}:
            assert values.get(key) == got[part].get(key), (part, key)


def without_other_details(answer):
    """Of an error's details only the essay is promised."""
    for essay in answer["essays"]:
        error = essay["spellcheck_error_detail"]
        if error:
            error["details"] = {"essay_id": error["details"]["essay_id"]}
    return answer


def check_rules(bench, records):
    expected = model.Model(records)
    answers = {batch_id: without_other_details(answer)
               for batch_id, answer in bench.answers().items()}
    wanted = expected.answers()
    assert sorted(answers) == sorted(wanted)
    for batch_id, want in wanted.items():
        assert list(answers[batch_id]) == list(want)
        for key, value in want.items():
            assert answers[batch_id][key] == value, (batch_id, key)
    for user_id in bench.users():
        listed = json.loads(bench.list(user_id))
        assert [batch["batch_id"] for batch in listed["batches"]] == expected.listed(user_id)
        assert listed["pagination"]["total"] == len(listed["batches"])
        for batch in listed["batches"]:
            assert without_other_details(batch) == wanted[batch["batch_id"]]


def check_published(bench, records):
    """What reactions are told is what the rules say."""
    expected = model.Model(records)
    for query, wanted in [("reaction_judgements", expected.judgement_rows()),
                          ("reaction_results", expected.result_rows())]:
        got = bench.published(query)
        assert sorted(got, key=repr) == sorted(
            [{name: row[name] for name in (got[0] if got else row)} for row in wanted], key=repr)


def check_accounts(bench, records, delivery):
    """Every record delivered is counted once; of those that are malformed each is rejected."""
    accounts = bench.accounts()
    poison = sum("poison" in records[index] for index, _, _ in delivery.steps)
    assert sum(accounts.values()) == len(delivery.steps), accounts
    assert accounts["rejected"] == poison, accounts
    assert delivery.redis or accounts["duplicate"] == 0, accounts


def check(bench, records, deliveries):
    bench.apply(records)
    reference = bench.everything()
    check_rules(bench, records)
    check_published(bench, records)
    for delivery in deliveries:
        bench.apply(records, delivery)
        same(reference, bench.everything())
        check_accounts(bench, records, delivery)


@pytest.mark.parametrize("name", sorted(path.stem for path in REGRESSIONS.glob("*.jsonl")))
def test_streams_that_once_failed(bench, name):
    records, stored = load(REGRESSIONS / f"{name}.jsonl")
    deliveries = [Delivery(**line["delivery"]) for line in stored]
    check(bench, records, deliveries + [Delivery.at_random(len(records), seed)
                                        for seed in range(8)])


@hypothesis.given(strategies.cases())
def test_any_delivery_gives_the_same_view_and_the_model_s_responses(bench, case):
    records, delivery = case
    try:
        check(bench, records, [delivery])
    except AssertionError:
        save(records, delivery)
        raise


@pytest.mark.parametrize("stream", strategies.SAMPLE_STREAMS)
def test_sample_streams_in_any_delivery(bench, stream):
    records = strategies.SAMPLE_STREAMS[stream]
    bench.apply(records)
    reference = bench.everything()
    check_rules(bench, records)
    check_published(bench, records)

    @hypothesis.settings(max_examples=hypothesis.settings().max_examples // 30)
    @hypothesis.given(st.integers(0, 2**32))
    def deliver(seed):
        delivery = Delivery.at_random(len(records), seed)
        bench.apply(records, delivery)
        same(reference, bench.everything())
        check_accounts(bench, records, delivery)

    deliver()

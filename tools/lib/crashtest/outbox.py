"""Finds the publishing process, and checks the messages in Kafka."""
import pathlib

import published
import stack

from . import verify

# Sends the samples' facts although they are old.
ENV = {"OUTBOX_HORIZON_HOURS": "876000"}
BEYOND_LEASE_S = (7.5, 9)  # five seconds, and one in which others see that it has run out
EMPTY_LIMIT_S = 90
HOLDER = "SELECT split_part(holder, ':', 2)::int FROM aggregator_state.outbox_relay WHERE until > now()"
WAITING = "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks), " \
    "(SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')"


def publisher(driver):
    """The slot whose process holds the lease; None if there is none or the database is down."""
    holders = driver.ask(HOLDER) or []
    return next((slot for slot in driver.slots
                 if slot.running() and (slot.program.process.pid,) in holders), None)


def wait_empty(url):
    """Waits until every mark is processed, and every message sent or settled."""
    stack.wait_until("the marks and the outbox to be worked off",
                     lambda: verify.query(url, WAITING) == [(0, 0)], EMPTY_LIMIT_S, 0.1)


def reactions():
    return [f"reactions/{path.stem}"
            for path in pathlib.Path(stack.ROOT / "scripts/reactions").glob("*.lua")]


def facts_of(url):
    """Marks every key again: gives the messages of the final view, without those of intermediate
    states."""
    wait_empty(url)
    marks = ", ".join(f"('{name}')" for name in reactions())
    verify.query(url, "TRUNCATE aggregator_state.outbox; INSERT INTO aggregator_state.reaction_marks (reaction, key) SELECT name, "
                      f"batch_id FROM batch_results, (VALUES {marks}) AS r (name)")
    wait_empty(url)
    return published.rows_of(verify.query(url, published.ROWS))[0]


def read_all(brokers):
    reader = published.Reader(brokers)
    try:
        return reader.read()
    finally:
        reader.close()


def registered(url):
    return {batch for batch, in verify.query(
        url, "SELECT batch_id FROM batch_results WHERE registration_at IS NOT NULL")}


def check_keys(messages, known):
    """No message names a batch that the undisturbed view lacked."""
    return [f"published of an unknown batch: {message}" for message in messages
            if published.batch_of(message) not in known]


def judge(deployment, clean_url, known, findings):
    """Each fact of the undisturbed view is in Kafka, each under one id. `known`: the batches that were ever
    registered, with those that have left."""
    url = deployment.database_url()
    wait_empty(url)
    facts = facts_of(clean_url)
    messages = read_all(deployment.kafka.brokers)
    rows = verify.query(url, published.ROWS)
    findings.fact("facts", len(facts), f"of the undisturbed view; the outbox stored {len(rows)}, "
                  "those true on the way included")
    findings.fact("published", len(messages),
                  f"{published.repeats(messages)} of them repeat one after a kill or a freeze")
    held = set(messages)
    findings.problems += [f"never published: {fact}" for fact in facts if fact not in held]
    findings.problems += published.check(messages, rows) + check_keys(messages, known)
    if not facts:
        findings.problems.append("no fact was to be published: the run proves nothing about them")

"""aggregator explain: the event that wrote a row, its offset in Kafka, and the losing events."""
import copy
import json
import uuid

from harness import read_records
from stack import wait_until

SPELLCHECK = "huleedu.essay.spellcheck.results.v1"


def explain(service, *arguments, since=("--since", "beginning")):
    """The embedded broker cannot find offsets by time: its log is read from the beginning."""
    return json.loads(service.program.command("explain", *arguments, *since, "--json").stdout)


def group_of(said, table, name):
    rows = [row for row in said["rows"] if row["table"] == table]
    assert len(rows) == 1, rows
    return next(group for group in rows[0]["groups"] if group["name"] == name)


def sample():
    """A successful spell check; the essay's other records are omitted."""
    return next(record for record in read_records("current") if record["topic"] == SPELLCHECK and
                record["value"]["data"]["status"] == "spellchecked_success")


def variant(record, second, **data):
    """The same data at another time, as a separate event."""
    changed = copy.deepcopy(record)
    changed["value"]["event_id"] = str(uuid.uuid4())
    changed["value"]["data"] |= {"timestamp": f"2025-06-28T09:00:{second:02}Z"} | data
    return changed


def story(service):
    """A failure, then a success, then a late report of another failure; the success again."""
    record = sample()
    failed = variant(record, 10, status="spellcheck_failed")
    success = variant(record, 20)
    late = variant(record, 15, status="spellcheck_failed")
    broken = variant(record, 30, corrections_made="many")
    service.publish([failed, success, late, broken, success])
    service.wait_committed(5)
    return record["value"]["data"]["entity_id"], failed, success, late, broken


def test_the_winner_and_the_losers_of_a_group_are_named(service):
    essay, failed, success, late, broken = story(service)
    said = explain(service, "essay", essay)
    group = group_of(said, "essay_results", "spellcheck")
    assert group["rule"] == "latest"
    assert group["event_id"] == success["value"]["event_id"]
    outcomes = [(event["outcome"], event["event_id"]) for event in group["events"]]
    assert outcomes == [("wrote", success["value"]["event_id"]),
                        ("repeated", success["value"]["event_id"]),
                        ("lost", late["value"]["event_id"]),
                        ("lost", failed["value"]["event_id"])]
    winner = group["events"][0]
    offset = service.query("SELECT \"offset\" FROM aggregator_state.rejected_events")[0][0] - 2
    assert (winner["topic"], winner["offset"]) == (SPELLCHECK, offset)
    assert winner["at"] == "2025-06-28T09:00:20.000000Z"
    assert winner["handler"] == "handlers/spellcheck_result"
    assert winner["scripts"] == service.query("SELECT max(scripts) FROM aggregator_state.offset_scripts")[0][0]
    first = group_of(said, "essay_results", "result_link")
    assert [event["event_id"] for event in first["events"]][0] == failed["value"]["event_id"]
    least = group_of(said, "essay_results", "first_result")
    assert least["events"][0]["event_id"] == failed["value"]["event_id"]
    assert least["events"][0]["outcome"] == "wrote"


def test_events_of_wrong_clocks_are_explained(service):
    """Before 1970; and of the future: the log has it before its time, so it is read from the beginning."""
    record = sample()
    record["value"]["data"]["timestamp"] = "9999-12-31T08:00:00Z"
    early = copy.deepcopy(record)
    early["value"]["event_id"] = str(uuid.uuid4())
    early["value"]["data"]["timestamp"] = "1969-12-31T08:00:00Z"
    service.publish([early, record])
    service.wait_committed(2)
    essay = record["value"]["data"]["entity_id"]
    group = group_of(explain(service, "essay", essay), "essay_results", "spellcheck")
    assert [(event["outcome"], event["at"]) for event in group["events"]] == [
        ("wrote", "9999-12-31T08:00:00.000000Z"), ("lost", "1969-12-31T08:00:00.000000Z")]
    service.query("DELETE FROM essay_results")
    service.query("INSERT INTO essay_results (essay_id, spellcheck_at, spellcheck_event_id) "
                  "VALUES (%s, '9999-12-31T08:00:00Z', %s)", essay, record["value"]["event_id"])
    said = explain(service, "essay", essay, since=())
    assert said["read_since"] is None
    assert group_of(said, "essay_results", "spellcheck")["events"]


def test_rejected_events_that_name_the_id_are_shown_once(service):
    essay, _, _, _, broken = story(service)
    said = explain(service, essay)
    assert [(event["event_id"], event["topic"]) for event in said["rejected"]] == \
        [(broken["value"]["event_id"], SPELLCHECK)]
    assert said["rejected"][0]["reason"] == "wrong_type"
    assert said["without_effect"] == []
    text = service.program.command("explain", "essay", essay, "--since", "beginning").stdout
    assert "wrong_type" in text and "lost" in text and broken["value"]["event_id"] in text


def test_a_batch_is_explained_with_events_that_have_its_key_only(fed):
    batch = fed.query("SELECT batch_id FROM batch_results WHERE completion_at IS NOT NULL "
                      "AND registration_at IS NOT NULL ORDER BY batch_id LIMIT 1")[0][0]
    said = explain(fed, "batch", batch)
    assert {row["key"]["batch_id"] for row in said["rows"]} == {batch}
    for row in said["rows"]:
        for group in row["groups"]:
            wrote = [event for event in group["events"] if event["outcome"] == "wrote"]
            assert len(wrote) == (1 if group["event_id"] else 0), group
            assert all(event["event_id"] == group["event_id"] for event in wrote)
    by_table = explain(fed, "batch", batch, "--table", "batch_results")
    assert [row["table"] for row in by_table["rows"]] == ["batch_results"]


def test_an_id_in_a_list_finds_the_row(fed):
    essay = fed.query("SELECT processed_ids[1] FROM phase_outcomes "
                      "WHERE processed_ids <> '{}' LIMIT 1")[0][0]
    tables = {row["table"] for row in explain(fed, "essay", essay)["rows"]}
    assert {"batch_results", "phase_outcomes"} <= tables


def test_without_the_log_explain_prints_what_the_row_has(service):
    essay, _, success, _, _ = story(service)
    service.query("UPDATE essay_results SET spellcheck_at = spellcheck_at + interval '1 minute'")
    text = service.program.command("explain", "essay", essay, "--since", "beginning",
                                   "--table", "essay_results").stdout
    assert "its event is not in the records that were read" in text
    assert "2025-06-28T09:01:20.000000Z  " + success["value"]["event_id"] in text


def test_a_winner_missing_in_the_view_is_told_from_one_not_yet_consumed(service):
    essay, _, success, _, _ = story(service)
    service.query("DELETE FROM essay_results")
    said = explain(service, "essay", essay)
    assert said["rows"][0]["in_view"] is False
    assert group_of(said, "essay_results", "spellcheck")["events"][0]["outcome"] == \
        "not in the view"
    service.program.stop()
    newer = variant(sample(), 40)
    service.publish([newer])
    event = group_of(explain(service, "essay", essay), "essay_results", "spellcheck")["events"][0]
    assert (event["outcome"], event["event_id"]) == ("not yet consumed",
                                                     newer["value"]["event_id"])
    assert event["scripts"] is None


# ---- what was published -------------------------------------------------------------------------

READY = "huleedu.ras.batch.results.ready.v1"


def published_result(service):
    """(id, identity, batch) of a message that reactions/results_ready made."""
    wait_until("the marks are worked off",
               lambda: service.query("SELECT count(*) FROM aggregator_state.reaction_marks") == [(0,)])
    return service.query("SELECT id::text, identity, key FROM aggregator_state.outbox JOIN batch_results "
                         "ON batch_id = key WHERE topic = %s AND completion_at IS NOT NULL "
                         "ORDER BY outbox.id DESC LIMIT 1", READY)[0]


def test_a_message_is_explained_by_its_reaction_the_row_of_its_query_and_its_events(fed):
    number, identity, batch = published_result(fed)
    said = explain(fed, "outbox", number)
    message = said["message"]
    assert (message["source"], message["about"]) == ("reactions/results_ready", batch)
    assert message["scripts"] == fed.query("SELECT scripts FROM aggregator_state.outbox WHERE id = %s", number)[0][0]
    assert message["today"] == "the same"
    reaction, = said["reactions"]
    assert (reaction["reaction"], reaction["key"]) == ("reactions/results_ready", batch)
    assert [row["key"] for row in reaction["rows"]] == [batch]
    assert {row["table"] for row in said["rows"]} >= {"batch_results", "phase_outcomes"}
    assert all(row["key"]["batch_id"] == batch for row in said["rows"])
    completion = group_of(said, "batch_results", "completion")
    assert completion["events"][0]["outcome"] == "wrote"
    by_identity = explain(fed, "outbox", identity)
    assert by_identity["message"] == message
    text = fed.program.command("explain", "outbox", number, "--since", "beginning").stdout
    assert "the present scripts make the same message" in text and "user_id" in text
    assert text.count(f"message {number} ") == 1


def test_a_batch_is_explained_with_all_its_published_messages(fed):
    *_, batch = published_result(fed)
    stored = fed.query("SELECT id::text FROM aggregator_state.outbox WHERE about = %s ORDER BY outbox.id DESC", batch)
    said = explain(fed, "batch", batch)
    assert [(fact["id"],) for fact in said["published"]] == stored
    # A reaction that ran between two events of the batch published what was true then.
    assert said["published"][0]["today"] == "the same"
    assert {fact["today"] for fact in said["published"]} <= {"the same", "not made"}
    assert {reaction["reaction"] for reaction in said["reactions"]} == \
        {"reactions/results_ready", "reactions/assessment_completed"}
    completion = group_of(said, "batch_results", "completion")["event_id"]
    by_event = explain(fed, "event", completion)
    assert [row["key"]["batch_id"] for row in by_event["rows"]] == [batch]
    assert [(fact["id"],) for fact in by_event["published"]] == stored


def test_explain_tells_a_message_not_made_today_from_one_with_other_content(service):
    for other in ("one", "two"):
        store_message(service, other)
    said = explain(service, "outbox", "one")
    assert (said["message"]["today"], said["reactions"][0]["rows"]) == ("not made", [])
    said = explain(service, "outbox", "two")
    assert said["message"]["today"] == "unknown"
    done = service.program.command("explain", "outbox", "three", check=False)
    assert done.returncode == 2 and "no message of the outbox" in done.stderr


def store_message(service, identity, source=None, about="no batch"):
    source = source or ("reactions/results_ready" if identity == "one" else "reactions/gone")
    service.query("INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, about, "
                  "scripts) VALUES (%s, 'facts', 'k', '{}', now(), %s, %s, 'h')",
                  identity, source, about)


def test_a_message_that_its_handler_no_longer_publishes_is_not_made(service):
    essay, _, success, _, broken = story(service)
    maker = "handlers/spellcheck_result"
    for identity, source, record in (("good", maker, success), ("bad", maker, broken),
                                     ("gone", "handlers/gone", success)):
        store_message(service, identity, source, record["value"]["event_id"])
    store_message(service, "unread", maker, str(uuid.uuid4()))
    today = {identity: explain(service, "outbox", identity)["message"]["today"]
             for identity in ("good", "bad", "gone", "unread")}
    assert today == {"good": "not made", "bad": "unknown", "gone": "unknown", "unread": "unknown"}
    said = explain(service, "essay", essay, "--table", "essay_results")
    assert [(fact["identity"], fact["today"]) for fact in said["published"]] == [("good", "not made")]


def test_a_message_of_a_reaction_that_is_gone_is_listed_without_those_of_others(service):
    for identity in ("one", "two", "three"):
        store_message(service, identity)
    said = explain(service, "outbox", "two")
    assert [fact["identity"] for fact in said["published"]] == ["three", "two"]


def test_apache_kafka_is_read_from_an_hour_before_the_row(fed_apache):
    essay = wait_until("a spell check", lambda: fed_apache.query(
        "SELECT essay_id FROM essay_results WHERE spellcheck_at IS NOT NULL LIMIT 1"))[0][0]
    said = explain(fed_apache, "essay", essay, since=())
    assert said["read_since"] is not None and said["records_read"] > 0
    group = group_of(explain(fed_apache, "essay", essay, "--table", "essay_results", since=()),
                     "essay_results", "spellcheck")
    assert [event["event_id"] for event in group["events"] if event["outcome"] == "wrote"] == \
        [group["event_id"]]


def test_an_invalid_question_is_refused_with_valid_ones(service):
    for arguments, reason in ((("pupil", "x"), "tables' first key columns: batch_id, essay_id\n"),
                              (("x", "--table", "pupils"), "the view has no table pupils")):
        done = service.program.command("explain", *arguments, check=False)
        assert done.returncode != 0 and reason in done.stderr

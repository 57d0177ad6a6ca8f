"""Outages and bad data: if the database is unavailable, full, locked or has a wrong schema, the
program waits and reports it, and rejects nothing; if it refuses the data of one event, only that
event is rejected."""
import contextlib
import copy
import json
import shutil
import time
import uuid

import psycopg2
import pytest
import stack
from harness import edited_config, log_lines, read_records, slot_event, waits_for_lock
from stack import wait_until

REGISTERED = "huleedu.batch.essays.registered.v1"
SLOT_HANDLER = "handlers/essay_slot_assigned.lua"
RAISE = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'raised for the test' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON essay_results FOR EACH ROW {when}
EXECUTE FUNCTION refuse()"""
STOPPED = ("a handler's topics wait: too many of its events are rejected; correct it and "
           "reload, or run `aggregator resume` to reject them")
HEALED = "DROP TRIGGER refuse ON essay_results"


def ready(program):
    """(status, reason) of /readyz."""
    status, body, _ = program.get("/readyz")
    return status, json.loads(body)["dependencies"]["kafka"].get("reason", "")


def stopped(program):
    """The reason of an open breaker; "": none is open."""
    waits = json.loads(program.get("/readyz")[1])["dependencies"]["kafka"]["waiting"]
    return "".join(wait["reason"] for wait in waits if wait["cause"] == "rejections")


def filenames(service):
    return dict(service.query("SELECT essay_id, filename FROM essay_results"))


def rejected(service):
    """[(text with its essay's id, reason, detail)]"""
    return [(json.loads(bytes(raw))["data"]["essay_id"], reason, detail) for raw, reason, detail in
            service.query('SELECT raw, reason, detail FROM aggregator_state.rejected_events ORDER BY "offset"')]


def publish(service, *essays):
    service.publish([slot_event("batch-of-outages", essay, f"{essay}.txt") for essay in essays])


def publish_registrations(service, first, last):
    service.publish([registration(f"batch-{number}") for number in range(first, last)])


def batches(service):
    return service.query("SELECT count(*) FROM batch_results WHERE batch_id ~ '^batch-[0-9]'")[0][0]


def check_waits(service, text):
    """Not ready; the log has the server's own reason, the probe a plain one; nothing rejected."""
    wait_until("unreadiness", lambda: ready(service.program)[0] == 503 and
               ready(service.program)[1].startswith("waits for the database: "))
    wait_until(f"a reason with {text!r}", lambda: any(
        text in line["error"] for line in log_lines(service.program,
                                                    "ingest waits for the database")))
    assert not rejected(service)


def check_applied(service, *essays):
    """The program has recovered by itself."""
    wait_until("the events", lambda: set(essays) <= filenames(service).keys())
    service.wait_ready()
    assert not rejected(service)


@contextlib.contextmanager
def session(service):
    """A transaction of the test."""
    with contextlib.closing(psycopg2.connect(service.database_url)) as connection:
        yield connection.cursor()
        connection.rollback()


def end_sessions(service):
    service.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                  "current_database() AND pid <> pg_backend_pid()")


def alter_database(service, setting):
    """Changes a setting for new sessions; ends those of the program."""
    name = service.database_url.rsplit("/", 1)[1]
    service.query(f'SET TRANSACTION READ WRITE; ALTER DATABASE "{name}" {setting}')
    end_sessions(service)


# ---- the database cannot at the moment ------------------------------------------------------


@pytest.mark.parametrize("code", ["53100", "53200", "58030", "40001", "40P01", "55P03", "57P03",
                                  "42501", "XX000"])
def test_an_error_without_a_faulty_event_is_waited_out(service, code):
    service.query(RAISE.format(code=code, when=""))
    publish(service, "one", "two")
    check_waits(service, "raised for the test")
    assert not filenames(service)
    service.query(HEALED)
    check_applied(service, "one", "two")


def test_a_deadlock_is_retried(service):
    publish(service, "one")
    check_applied(service, "one")
    with session(service) as other:
        other.execute("SET deadlock_timeout = '1min'")  # the program's session finds it
        other.execute("SELECT FROM essay_results FOR UPDATE")
        publish(service, "one", "two")
        wait_until("the program to wait for the row", lambda: waits_for_lock(service, "aggregator ingest"))
        other.execute("SELECT FROM aggregator_state.consumer_offsets FOR UPDATE")
        wait_until("the deadlock", lambda: log_lines(service.program,
                                                     "ingest waits for the database"))
    assert log_lines(service.program, "ingest waits for the database")[0]["sqlstate"] == "40P01"
    check_applied(service, "two")


def test_the_default_isolation_of_the_database_fails_no_transaction(bare_service):
    service = bare_service
    alter_database(service, "SET default_transaction_isolation = 'repeatable read'")
    service.start()
    publish(service, "one")
    check_applied(service, "one")
    with session(service) as other:
        other.execute("UPDATE essay_results SET result_batch_id = 'moved'")
        publish(service, "one", "two")
        wait_until("the program to wait for the row", lambda: waits_for_lock(service, "aggregator ingest"))
        other.connection.commit()
    check_applied(service, "two")
    assert not log_lines(service.program, "ingest waits for the database")


def test_a_row_locked_for_longer_than_a_statement_may_take(bare_service):
    service = bare_service
    service.start(edited_config(service.folder / "hasty.lua", ("statement_timeout_ms = 15000",
                                                               "statement_timeout_ms = 300")))
    publish(service, "one")
    check_applied(service, "one")
    with session(service) as other:
        other.execute("SELECT FROM essay_results FOR UPDATE")
        publish(service, "one", "two")
        check_waits(service, "statement timeout")
    check_applied(service, "two")


def test_a_database_that_is_read_only_for_a_while(service):
    alter_database(service, "SET default_transaction_read_only = on")
    publish(service, "one")
    check_waits(service, "read-only")
    alter_database(service, "RESET default_transaction_read_only")
    check_applied(service, "one")


def test_too_many_connections(bare_service):
    service = bare_service
    role = "limited_" + service.database_url.rsplit("/ras_", 1)[1]
    service.query(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA aggregator_state TO {role}; "
                  f"GRANT ALL ON ALL TABLES IN SCHEMA public, aggregator_state TO {role}")
    service.start(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=service.database_url.replace(
        "//ras@", f"//{role}@"))
    service.wait_ready()
    service.query(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    end_sessions(service)
    publish(service, "one")
    check_waits(service, "too many connections")
    service.query(f"ALTER ROLE {role} CONNECTION LIMIT -1")
    check_applied(service, "one")


@pytest.mark.parametrize("change, back", [
    ("RENAME COLUMN filename TO mislaid", "RENAME COLUMN mislaid TO filename"),
    ("RENAME TO mislaid", None)], ids=["column", "table"])
def test_a_schema_mismatch_is_logged_and_waited_out(service, change, back):
    publish(service, "one")
    check_applied(service, "one")
    service.query(f"ALTER TABLE essay_results {change}")
    publish(service, "two")
    check_waits(service, "essay_results")
    service.query(f"ALTER TABLE essay_results {back}" if back else
                  "ALTER TABLE mislaid RENAME TO essay_results")
    check_applied(service, "two")


# ---- the database refuses what an event says -------------------------------------------------


@pytest.mark.parametrize("refusal", [
    "ALTER TABLE essay_results ADD CHECK (filename !~ '^bad')",
    RAISE.format(code="P0001", when="WHEN (NEW.filename ~ '^bad')"),
    RAISE.format(code="22023", when="WHEN (NEW.filename ~ '^bad')"),
    RAISE.format(code="23514", when="WHEN (NEW.filename ~ '^bad')").replace(
        "TRIGGER refuse BEFORE INSERT OR UPDATE ON essay_results",
        "CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON essay_results DEFERRABLE "
        "INITIALLY DEFERRED")],
    ids=["check", "trigger", "value", "at the commit"])
def test_the_event_whose_data_is_refused_is_found_and_rejected_alone(service, refusal):
    service.query(refusal)
    good = [f"good-{number}" for number in range(40)]
    publish(service, *good[:17], "bad-one", *good[17:30], "bad-two", *good[30:])
    wait_until("the good events", lambda: filenames(service).keys() >= set(good))
    wait_until("the bad ones", lambda: len(rejected(service)) == 2)
    assert filenames(service).keys() == set(good)
    assert {(essay, reason) for essay, reason, _ in rejected(service)} == {
        ("bad-one", "database_refused"), ("bad-two", "database_refused")}
    service.wait_ready()
    assert log_lines(service.program, "the database refused a batch: it is read again to find the event")


def test_many_refused_events_need_few_subtransactions(bare_service):
    """Each holds a lock on its id until it ends. With more than 64 Postgres slows down for all."""
    service = bare_service
    service.query("ALTER TABLE essay_results ADD CHECK (filename !~ '^bad')")
    service.query("""CREATE TABLE depths (depth integer);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO depths SELECT count(*) FROM pg_locks
          WHERE pid = pg_backend_pid() AND locktype = 'transactionid'; RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT ON aggregator_state.rejected_events FOR EACH STATEMENT
        EXECUTE FUNCTION note()""")
    publish(service, *[f"{'bad' if number % 5 == 0 else 'good'}-{number}" for number in range(60)])
    service.start()
    service.wait_committed(60)
    assert len(rejected(service)) == 12
    assert service.query("SELECT max(depth) FROM depths") == [(1,)]


def registration(batch_id, event_id=None):
    """A registration of a fixed time: of two for one batch, the smaller event id wins."""
    record = copy.deepcopy(next(record for record in read_records("current")
                                if record["topic"] == REGISTERED))
    record["value"]["event_id"] = event_id or str(uuid.uuid4())
    record["value"]["data"]["entity_id"] = batch_id
    return record


def test_an_event_is_applied_if_its_successor_is_rejected(bare_service):
    service = bare_service
    service.query("ALTER TABLE essay_results ADD CHECK (filename !~ '^bad')")
    service.publish([slot_event("batch-of-outages", "one", "good.txt"),
                     slot_event("batch-of-outages", "one", "better.txt", second=1),
                     slot_event("batch-of-outages", "one", "bad.txt", second=2)])
    service.start()
    service.wait_committed(3)
    assert filenames(service) == {"one": "better.txt"}
    assert service.query("SELECT sum(applied), sum(superseded), sum(rejected) "
                         "FROM aggregator_state.consumer_offsets") == [(2, 0, 1)]


def test_rows_of_a_range_that_was_rolled_back_are_not_counted_as_written(bare_service):
    service = bare_service
    service.query("ALTER TABLE essay_results ADD CHECK (filename !~ '^bad')")
    program = service.start()
    service.publish([registration("old", event_id=str(uuid.UUID(int=1)))])
    service.wait_committed(1)
    assert program.stop() == 0
    service.publish([registration("new"), registration("old", event_id=str(uuid.UUID(int=2))),
                     slot_event("batch-of-outages", "bad", "bad.txt")])
    program = service.start()
    service.wait_committed(4)
    wait_until("the count", lambda: (program.metric("ras_rows_written_total"),
                                     program.metric("ras_rows_superseded_total")) == (2, 1))


# ---- the scripts are at fault ----------------------------------------------------------------


def broken_scripts(service, condition, fault="error('broken for the test')"):
    """A copy of the scripts whose handler raises (or has another fault), after its merges, if the
    condition holds."""
    folder = service.folder / "scripts"
    shutil.copytree(stack.ROOT / "scripts", folder)
    handler = folder / SLOT_HANDLER
    text = handler.read_text()
    assert text.count("    view:touch(") == 1
    handler.write_text(text.replace(
        "    view:touch(", f"    if {condition} then {fault} end\n"
                           "    view:touch("))
    return {"SCRIPTS_ROOT": str(folder)}


# Lua that holds the first time it is asked, whichever state asks.
FIRST_TIME = "require('redis').call('INCR', 'asked') == 1"


def test_an_event_that_timed_out_in_a_pause_of_the_process_is_retried(bare_service):
    service = bare_service
    program = service.start(**broken_scripts(service, FIRST_TIME, "while true do end"))
    publish(service, "one", "two")
    check_applied(service, "one", "two")
    assert program.metric("ras_invalid_messages_total") == 0


def test_an_event_in_a_full_lua_state_is_retried(bare_service):
    service = bare_service
    service.start(**broken_scripts(
        service, FIRST_TIME, "local all = {} for i = 1, 1e9 do all[i] = tostring(i) end"))
    publish(service, "one", "two")
    check_applied(service, "one", "two")


def test_an_event_that_takes_too_long_twice_is_rejected(bare_service):
    service = bare_service
    service.start(**broken_scripts(service, "event.essay_id == 'two'", "while true do end"))
    publish(service, "one", "two", "three")
    wait_until("the events", lambda: filenames(service).keys() >= {"one", "three"})
    wait_until("the bad one", lambda: len(rejected(service)) == 1)
    (essay, reason, detail), = rejected(service)
    assert (essay, reason) == ("two", "handler_timeout") and "took too long" in detail


def test_no_event_is_rejected_for_a_script_state_that_cannot_be_made(bare_service):
    service = bare_service
    scripts = broken_scripts(service, FIRST_TIME, "while true do end")
    begin = time.time() + 8  # the program has started by then, with states of its own
    handler = service.folder / "scripts" / SLOT_HANDLER
    handler.write_text(f"local now = require('clock').wall()\nif now > {begin} and now < {begin + 6}"
                       " then error('no state for the test') end\n" + handler.read_text())
    program = service.start(**scripts)
    service.wait_ready()
    wait_until("that time", lambda: time.time() > begin)
    publish(service, "one", "two")
    wait_until("the reason", lambda: "no state for the test" in ready(program)[1])
    assert ready(program)[0] == 503 and "waits for a script state" in ready(program)[1]
    assert log_lines(program, "ingest waits for a script state")
    check_applied(service, "one", "two")


def test_an_event_whose_handler_raises_is_rejected_alone_and_leaves_nothing(bare_service):
    service = bare_service
    service.start(**broken_scripts(service, "event.essay_id == 'two'"))
    publish(service, "one", "two", "three")
    wait_until("the events", lambda: filenames(service).keys() >= {"one", "three"})
    assert filenames(service) == {"one": "one.txt", "three": "three.txt"}
    (essay, reason, detail), = rejected(service)
    assert (essay, reason) == ("two", "handler_error")
    assert "broken for the test" in detail and "essay_slot_assigned.lua" in detail


def test_the_breaker_stops_the_topics_of_a_broken_handler_alone(bare_service):
    service = bare_service
    publish_registrations(service, 0, 300)
    publish(service, *[f"essay-{number}" for number in range(60)])
    program = service.start(**broken_scripts(service, "true"))
    wait_until("the breaker", lambda: stopped(program))
    assert "of handlers/essay_slot_assigned were rejected" in stopped(program)
    publish_registrations(service, 300, 320)
    wait_until("the others' events", lambda: batches(service) == 320)
    assert len(rejected(service)) <= 10
    assert program.get("/readyz")[0] == program.get("/readyz/read")[0] == 200
    assert program.get("/readyz/consume")[0] == 503


def test_one_bad_event_counts_once_however_often_its_batch_is_tried(bare_service):
    service = bare_service
    program = service.start(INGEST_BREAKER_WINDOW_EVENTS="10")
    service.query(RAISE.format(code="53100", when="").replace(
        "INSERT OR UPDATE ON essay_results", "UPDATE ON aggregator_state.consumer_offsets"))  # read, not moved
    bad = slot_event("batch-of-outages", "bad", "bad.txt")
    del bad["value"]["data"]["batch_id"]
    service.publish([bad])
    wait_until("some attempts", lambda: program.metric("ras_consumer_errors_total") > 6)
    service.query(HEALED.replace("essay_results", "aggregator_state.consumer_offsets"))
    publish(service, "good")
    wait_until("the next event", lambda: filenames(service) == {"good": "good.txt"})
    assert len(rejected(service)) == 1
    assert not stopped(program)
    wait_until("the count", lambda: program.metric("ras_invalid_messages_total") > 0)
    assert program.metric("ras_invalid_messages_total") == 1
    assert len(log_lines(program, "event rejected")) == 1


def test_the_breaker_takes_the_share_of_a_large_batch_that_the_database_refuses(bare_service):
    service = bare_service
    service.query("ALTER TABLE essay_results ADD CHECK (filename !~ '^bad')")
    essays = [f"{'bad' if number % 5 == 0 else 'good'}-{number}" for number in range(600)]
    publish(service, *essays)
    program = service.start(INGEST_BREAKER_WINDOW_EVENTS="100")
    wait_until("all of them", lambda: service.committed_events() == 600 or
               program.metric("ras_breaker_open") == 1)
    assert len(rejected(service)) == 120 and len(filenames(service)) == 480
    assert program.metric("ras_breaker_open") == 0


def test_the_breaker_counts_what_the_database_refuses(bare_service):
    service = bare_service
    service.query("ALTER TABLE essay_results ADD CONSTRAINT refusal CHECK (filename = 'none')")
    program = service.start(INGEST_BREAKER_WINDOW_EVENTS="20")
    essays = [f"essay-{number}" for number in range(60)]
    publish(service, *essays)
    wait_until("the breaker", lambda: stopped(program))
    assert "database_refused" in stopped(program)
    assert len(rejected(service)) <= 20 and service.committed_events() <= 20
    service.query("ALTER TABLE essay_results DROP CONSTRAINT refusal")
    assert program.stop() == 0
    mended = service.start()
    wait_until("the rest", lambda: len(filenames(service)) + len(rejected(service)) == 60)
    service.wait_ready(mended)


def test_the_breaker_opens_instead_of_rejecting_a_whole_topic(bare_service):
    service = bare_service
    essays = [f"essay-{number}" for number in range(60)]
    program = service.start(INGEST_BREAKER_WINDOW_EVENTS="20", **broken_scripts(service, "true"))
    publish(service, *essays)
    wait_until("the breaker", lambda: stopped(program))
    reason = stopped(program)
    assert "of the last" in reason and "broken for the test" in reason
    assert program.metric("ras_breaker_open") == 1
    assert len(log_lines(program, STOPPED)) == 1
    assert len(rejected(service)) <= 20 and service.committed_events() <= 20
    # With mended scripts it goes on where it stopped.
    assert program.stop() == 0
    mended = service.start()
    wait_until("the rest", lambda: len(filenames(service)) + len(rejected(service)) == 60)
    service.wait_ready(mended)
    assert len(rejected(service)) <= 20


def test_resume_rejects_the_waiting_events_and_goes_on(bare_service):
    service = bare_service
    program = service.start(INGEST_BREAKER_WINDOW_EVENTS="20",
                            **broken_scripts(service, "event.essay_id ~= 'good'"))
    publish(service, *[f"essay-{number}" for number in range(60)])
    wait_until("the breaker", lambda: stopped(program))
    program.command("resume")
    wait_until("all of them rejected", lambda: len(rejected(service)) == 60)
    service.wait_ready()
    assert program.metric("ras_breaker_open") == 0
    publish(service, "good")
    wait_until("the next event", lambda: filenames(service) == {"good": "good.txt"})

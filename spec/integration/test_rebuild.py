"""aggregator verify and rebuild: the view is compared with Kafka's log, and corrected from it."""
import json
import re
import shutil
import subprocess
import uuid

import psycopg2
import pytest
import stack
from harness import edited_config, read_records
from stack import wait_until
from views import check_view, status_path

TABLES = {"batch_results": "batch_id", "essay_results": "essay_id",
          "phase_outcomes": "batch_id, phase_name, content_id",
          "assessments": "batch_id, content_id"}
SLOT_TOPIC = "huleedu.els.essay.slot.assigned.v1"


def dump(service):
    """Every row of the view, as text."""
    return {table: [row[0] for row in service.query(f"SELECT t::text FROM {table} t ORDER BY {key}")]
            for table, key in TABLES.items()}


def verify(service, status=0, **env):
    done = run(service, "verify", **env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def rebuild(service, *arguments, status=0, **env):
    done = run(service, "rebuild", *arguments, **env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def run(service, *arguments, **env):
    program = service.prepare(**env) if env else service.program
    return program.command(*arguments, check=False, stdin=subprocess.DEVNULL)


def has_shadow(service):
    return service.query("SELECT to_regnamespace('aggregator_rebuild') IS NOT NULL")[0][0]


def feed_and_wait(service, stream="current"):
    service.feed(stream)
    service.wait_committed(len(read_records(stream)))


def essay_of(service):
    return service.query("SELECT essay_id FROM essay_results WHERE filename IS NOT NULL "
                         "AND spellcheck_status = 'COMPLETED' ORDER BY essay_id LIMIT 1")[0][0]


def test_an_intact_view_is_equal_and_stays_untouched(service):
    feed_and_wait(service)
    written = service.query("SELECT max(xmin::text::bigint) FROM essay_results")
    before = dump(service)
    assert "the view matches the log" in verify(service)
    assert "nothing to change" in rebuild(service, "--yes")
    assert dump(service) == before
    assert service.query("SELECT max(xmin::text::bigint) FROM essay_results") == written
    assert not has_shadow(service)


def test_batches_cut_at_the_bound_of_their_merges_give_the_same_view(bare_service):
    """Ingestion and rebuild commit the handled events and continue with the rest."""
    service = bare_service
    service.feed("current-hard")
    program = service.start(edited_config(service.folder / "narrow.lua", (
        "batch_max_merge_bytes = 64 * 1024 * 1024", "batch_max_merge_bytes = 65536")))
    service.wait_committed(len(read_records("current-hard")))
    check_view(program, "current-hard")
    assert program.metric("ras_db_transaction_duration_seconds_count") > 3
    assert "the view matches the log" in program.command("verify").stdout


def test_a_changed_a_deleted_and_an_extra_row_are_reported_and_corrected(service):
    feed_and_wait(service, "current-hard")
    before, essay = dump(service), essay_of(service)
    batch = service.query("SELECT min(batch_id) FROM batch_results")[0][0]
    service.query("UPDATE essay_results SET spellcheck_status = 'FAILED' WHERE essay_id = %s",
                  essay)
    service.query("DELETE FROM batch_results WHERE batch_id = %s", batch)
    service.query("INSERT INTO essay_results (essay_id, slot_at, slot_event_id, filename) "
                  "VALUES ('nobody', now(), gen_random_uuid(), 'x')")
    for said in (verify(service, status=1), rebuild(service, status=1), rebuild(service, "--yes")):
        assert f"missing    batch_id={batch}" in said
        assert "extra      essay_id=nobody" in said
        assert f"differing  essay_id={essay}" in said
        assert "spellcheck_status: FAILED  from the log: COMPLETED" in said
        assert "essay_results: 1 differing, 1 extra" in said
    assert "3 rows repaired" in said
    assert dump(service) == before
    verify(service)


def test_without_yes_nothing_is_changed(service):
    feed_and_wait(service)
    service.query("UPDATE essay_results SET filename = 'wrong'")
    damaged = dump(service)
    assert "differing" in rebuild(service, status=1)
    assert dump(service) == damaged


def test_caches_hold_no_outdated_response_after_a_rebuild(service):
    feed_and_wait(service)
    essay = essay_of(service)
    batch = service.query("SELECT slot_batch_id FROM essay_results WHERE essay_id = %s",
                          essay)[0][0]
    service.query("UPDATE essay_results SET filename = 'wrong' WHERE essay_id = %s", essay)
    second = service.start()

    def filenames(program):
        status, body, _ = program.get(status_path(batch))
        assert status == 200
        return [row["filename"] for row in json.loads(body)["essays"]]

    assert "wrong" in filenames(service.program) and "wrong" in filenames(second)
    rebuild(service, "--yes")
    for program in (service.program, second):
        wait_until("an answer from the mended view", lambda: "wrong" not in filenames(program))


@pytest.fixture
def other_scripts(tmp_path):
    """A copy of the scripts with another slot handler."""
    root = tmp_path / "scripts"
    shutil.copytree(stack.ROOT / "scripts", root)
    handler = root / "handlers/essay_slot_assigned.lua"
    text = handler.read_text()
    changed = text.replace("filename = event.filename,", 'filename = "new " .. event.filename,')
    assert changed != text
    handler.write_text(changed)
    return root


def test_a_changed_handler_shows_as_differences_and_is_applied(service, other_scripts):
    feed_and_wait(service)
    before = dump(service)
    said = verify(service, status=1, SCRIPTS_ROOT=str(other_scripts))
    essays = service.query("SELECT count(filename) FROM essay_results")[0][0]
    assert f"essay_results: {essays} differing" in said
    assert dump(service) == before
    rebuild(service, "--yes", SCRIPTS_ROOT=str(other_scripts))
    assert service.query("SELECT count(*) FROM essay_results "
                         "WHERE starts_with(filename, 'new ')")[0][0] == essays
    verify(service, SCRIPTS_ROOT=str(other_scripts))
    rebuild(service, "--yes")
    assert dump(service) == before


def copies(records, count):
    """The records `count` times, each time with other ids: as many batches and events."""
    text = "\n".join(json.dumps(record) for record in records)
    pattern = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    lines = []
    for number in range(count):
        renamed = pattern.sub(lambda match: str(uuid.uuid5(uuid.UUID(match[0]), str(number))), text)
        lines += renamed.splitlines()
    return lines


def test_nothing_is_lost_while_events_keep_coming(service):
    lines = copies(read_records("current"), 8)
    path = service.folder / "stream.jsonl"
    path.write_text("\n".join(lines) + "\n")
    feeder = service.feed(path, rate=400, wait=False)
    wait_until("some rows", lambda: service.committed_events() > 300)
    rounds = 0
    while feeder.poll() is None:
        service.query("UPDATE essay_results SET filename = 'wrong' WHERE essay_id = "
                      "(SELECT min(essay_id) FROM essay_results WHERE filename IS NOT NULL)")
        assert "1 row repaired" in rebuild(service, "--yes")
        verify(service)
        rounds += 1
    assert feeder.wait() == 0 and rounds >= 1
    service.wait_committed(len(lines))
    assert service.committed_events() == len(lines)
    verify(service)
    before = dump(service)
    service.query("TRUNCATE " + ", ".join(TABLES))
    rebuild(service, "--yes")
    assert dump(service) == before


def test_a_rebuild_killed_in_the_middle_leaves_the_view_and_the_next_one_works(service):
    service.publish([json.loads(line) for line in copies(read_records("current"), 10)])
    service.wait_committed(10 * len(read_records("current")))
    service.query("UPDATE essay_results SET filename = 'wrong'")
    damaged = dump(service)
    program = service.prepare()
    program.spawn([service.build / "aggregator", "rebuild", "--yes"], cwd=stack.ROOT,
                  env=program.env)
    wait_until("the shadow's rows", lambda: has_shadow(service) and service.query(
        "SELECT to_regclass('aggregator_rebuild.assessments') IS NOT NULL")[0][0], interval_s=0.001)
    program.kill()
    assert has_shadow(service)
    assert dump(service) == damaged
    rebuild(service, "--yes")
    assert not has_shadow(service)
    assert dump(service) != damaged
    verify(service)


def test_a_second_rebuild_at_the_same_time_is_refused(service):
    feed_and_wait(service)
    other = psycopg2.connect(service.database_url)
    other.cursor().execute("SELECT pg_advisory_lock(7236018)")
    done = run(service, "verify")
    other.close()
    assert done.returncode == 1 and "another rebuild or verify is running" in done.stderr
    verify(service)


LOCKED = "datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s"
IDLE = "datname = current_database() AND state = 'idle in transaction' AND query LIKE %s"


def test_a_shadow_that_lags_while_the_offsets_are_locked_is_compared_again(service):
    """The shadow lacks records under the locks: duplicates, which the program has not read. They wait for
    its table until the time for them is over."""
    feed_and_wait(service)
    service.program.stop()
    service.feed("current")
    live, writer = psycopg2.connect(service.database_url), psycopg2.connect(service.database_url)
    live.cursor().execute("UPDATE aggregator_state.consumer_offsets SET next_offset = 2 * next_offset "
                          "WHERE topic = %s AND next_offset > 0", (SLOT_TOPIC,))
    verifier = service.prepare(AGGREGATOR_POSTGRES_STATEMENT_TIMEOUT_MS="60000")
    verifier.spawn([service.build / "aggregator", "verify"], cwd=stack.ROOT, env=verifier.env)

    def sessions(state, query):
        return service.query(f"SELECT pid FROM pg_stat_activity WHERE {state}", query)

    wait_until("the wait for the offsets", lambda: sessions(LOCKED, "%consumer_offsets%FOR UPDATE"))
    writer.cursor().execute("LOCK TABLE aggregator_rebuild.essay_results")
    live.commit()
    wait_until("the wait for the shadow", lambda: sessions(LOCKED, "%INSERT INTO%essay_results%"))
    wait_until("the end of the time", lambda: not sessions(
        IDLE + " AND state_change > now() - interval '11 s'", "%greatest(next_offset, fresh_offset)%"))
    writer.commit()
    status, said = verifier.process.wait(timeout=60), verifier.log.read_text()
    live.close(), writer.close()
    assert status == 0 and "the view matches the log" in said, said
    assert "the next attempt follows" in said, said


def test_a_verify_that_can_create_no_script_state_ends(service, faulty_build):
    feed_and_wait(service)
    service.build = faulty_build
    done = run(service, "verify", AGGREGATOR_FAULT="script_state:1:MISS")
    assert done.returncode == 1 and "cannot create a script state" in done.stderr, done.stderr


def test_a_group_without_offsets_is_refused_and_the_view_kept(service):
    feed_and_wait(service)
    before = dump(service)
    done = run(service, "rebuild", "--yes", KAFKA_CONSUMER_GROUP_ID="other")
    assert done.returncode == 1 and "has no offsets of the group" in done.stderr
    service.query("UPDATE aggregator_state.consumer_offsets SET next_offset = 1000000 WHERE topic = %s", SLOT_TOPIC)
    done = run(service, "rebuild", "--yes")
    assert done.returncode == 1 and "the topic was recreated or truncated" in done.stderr
    assert dump(service) == before


def test_rows_whose_history_retention_has_cut_are_kept_and_named(make_service, apache, cleanup):
    service = make_service(cleanup, apache)
    service.start()
    feed_and_wait(service)
    before = dump(service)
    offsets = service.query("SELECT partition, next_offset FROM aggregator_state.consumer_offsets "
                            "WHERE topic = %s AND next_offset > 1", SLOT_TOPIC)
    cut = [str(word) for partition, end in offsets for word in (SLOT_TOPIC, partition, end // 2)]
    subprocess.run([service.build / "cut_log", apache.brokers, *cut], check=True)
    registered = service.query("SELECT min(batch_id) FROM batch_results "
                               "WHERE registration_at IS NOT NULL")[0][0]
    service.query("UPDATE batch_results SET user_id = 'wrong' WHERE batch_id = %s", registered)
    service.query("INSERT INTO essay_results (essay_id, slot_at, slot_event_id, filename) VALUES "
                  "('nobody', now() + interval '2 hours', gen_random_uuid(), 'x')")
    said = rebuild(service, "--yes", "--limit", "1000")
    lost = sum(end // 2 for _, end in offsets)
    kept = re.findall(r"kept +essay_id=(\S+)", said)
    assert 0 < len(kept) <= lost
    assert f"essay_results: {len(kept)} rows cannot be rebuilt" in said
    assert f"{SLOT_TOPIC} [{offsets[0][0]}] is incomplete" in said
    assert "extra      essay_id=nobody" in said
    assert "user_id: wrong" in said
    assert dump(service) == before
    check_view(service.program, "current")
    verify(service)

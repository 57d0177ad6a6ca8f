"""Backup and restore, by the commands of docs/operate/backup.md: an older dump comes back whole while the log
still has the events, and each message has one id and one content."""
import os
import re
import subprocess

import outgoing_forms
import published
import redis as redis_client
from harness import BESIDE, read_records
from stack import ROOT, create_topics, wait_until
from test_redis_rights import documented_rights
from views import status_path

TABLES = ("batch_results", "essay_results", "phase_outcomes", "assessments")


def documented_commands(section):
    """The lines of the section's shell blocks."""
    page = (ROOT / "docs/operate/backup.md").read_text()
    text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
            for line in block.splitlines()]


def run(service, program, command):
    """Runs a line of the page with a shell."""
    server = service.database_url.rsplit("/", 1)[0]
    return subprocess.run(
        ["sh", "-ec", command.replace("aggregator.dump", str(service.folder / "aggregator.dump"))],
        cwd=ROOT, check=True, capture_output=True, text=True,
        env=program.env | {"DATABASE_URL": service.database_url, "ADMIN_URL": f"{server}/postgres",
                           "REDIS_ADMIN_URL": service.redis_url,
                           "PATH": f"{service.build}:{os.environ['PATH']}"})


def view_of(service):
    return [service.query(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t")
            for table in TABLES]


def offsets_of(service):
    return service.query("SELECT topic, partition, next_offset FROM aggregator_state.consumer_offsets "
                         "WHERE next_offset > 0")


def wait_published(service):
    wait_until("no mark and no message waits", lambda: service.query(
        "SELECT (SELECT count(*) FROM aggregator_state.reaction_marks) + (SELECT count(*) FROM "
        "aggregator_state.outbox WHERE state = 'pending')")[0][0] == 0)


def test_a_dump_taken_under_load_comes_back_whole_without_the_older_records(make_service, apache, cleanup):
    service = make_service(cleanup, apache)
    create_topics(service.build, apache.brokers, list(outgoing_forms.TOPICS))
    reader = published.Reader(apache.brokers)
    cleanup.callback(reader.close)
    options = {"OUTBOX_HORIZON_HOURS": "876000", "LOG_LEVEL": "INFO"}
    program = service.start(**options)
    service.feed(BESIDE[0])
    service.wait_committed(len(read_records(BESIDE[0])))
    feeders = [service.feed(stream, wait=False) for stream in BESIDE[1:-1]]
    run(service, program, documented_commands("Back up")[0])  # while events are committed
    feeders.append(service.feed(BESIDE[-1], wait=False))
    assert [feeder.wait() for feeder in feeders] == [0] * len(feeders)
    events = sum(len(read_records(stream)) for stream in BESIDE)
    service.wait_committed(events)
    wait_published(service)
    view, before = view_of(service), reader.read()
    assert published.check(before, service.query(published.ROWS)) == []
    batch_id = service.query("SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL LIMIT 1")[0][0]
    answer = program.get(status_path(batch_id))[1]
    program.stop()

    restore, migrate, check, verify = [line for line in documented_commands("Restore")
                                       if "redis-cli" not in line]
    run(service, program, restore)
    assert service.committed_events() < events
    cut = [str(word) for place in offsets_of(service) for word in place]
    subprocess.run([service.build / "cut_log", apache.brokers, *cut], check=True)
    run(service, program, migrate)
    run(service, program, check)
    restarted = service.start(**options)
    service.wait_committed(events)
    wait_published(service)
    assert view_of(service) == view
    assert restarted.get(status_path(batch_id))[1] == answer
    assert restarted.metric("ras_deleted_messages_total") == 0
    run(service, program, verify)
    again = reader.read()
    assert published.check_ids(before + again) == []
    assert published.check_forms(again) == []
    stored, states = published.rows_of(service.query(published.ROWS))
    assert set(states) == {"sent"}
    assert {message.identity for message in stored} <= {message.identity for message in before + again}


def test_the_commands_for_redis_delete_what_the_program_stored_and_nothing_else(bare_service):
    """The program has the user of docs/operate/rights.md, which may not SCAN."""
    service = bare_service
    with redis_client.Redis(port=service.redis.port) as client:
        client.execute_command("ACL", "SETUSER", "aggregator", "on", ">secret-pw", *documented_rights())
    program = service.start(REDIS_URL=service.redis_url.replace("redis://", "redis://aggregator:secret-pw@"))
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    with redis_client.Redis(port=service.redis.port) as client:
        client.set("other", "x")
        wait_until("marks of events", lambda: client.keys("ras:seen:*"))
        program.stop()
        lines = [line for line in documented_commands("Restore") if "redis-cli" in line]
        done = [run(service, program, line) for line in lines]
        assert "NOPERM" not in "".join(one.stdout + one.stderr for one in done)
        assert done[-1].stdout == "0\n"
        assert client.keys("*") == [b"other"]

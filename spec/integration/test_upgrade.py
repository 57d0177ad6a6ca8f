"""A database of an earlier release: after the migrations its responses are the same, and ingestion
goes on."""
import subprocess

import psycopg2
import pytest
from harness import expectations, read_records
from stack import ROOT, wait_until
from views import differences

FILLED = ROOT / "spec/fixtures/upgrade"  # by the release with the migrations up to the number
MADE_UP = '{"error_code":"SPELLCHECK_SERVICE_ERROR","message":"Spell check failed"}'
MOVED = ["consumer_offsets", "instances", "offset_scripts", "outbox", "outbox_relay",
         "reaction_marks", "rejected_events", "script_files", "script_generations"]


def check_answers(service, program):
    for batch_id, in service.query("SELECT batch_id FROM batch_results "
                                   "WHERE registration_at IS NOT NULL"):
        wanted = expectations("current")[batch_id]
        wait_until(f"the answer of {batch_id}",
                   lambda: differences(wanted, program.status_of(batch_id)) == [])


@pytest.fixture
def filled(make_service, cleanup, request):
    """A service, not started, on the database of an earlier release (default: 0010)."""
    service = make_service(cleanup, redis="none", migrate=False)
    text = (FILLED / f"{getattr(request, 'param', '0010')}.sql").read_text()
    with psycopg2.connect(service.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(text)
    return service


def migrate(service):
    """As many are applied as `check` says are missing."""
    program = service.prepare()
    said = program.command("check", check=False).stderr
    applied = program.command("migrate").stdout.split()[0]
    assert int(applied) > 0 and f"{applied} migrations are not applied" in said
    return program


def schema_of(service):
    """Every table, column, constraint, index and function of the database, as statements."""
    text = subprocess.run(["pg_dump", "--schema-only", service.database_url], check=True,
                          capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if not line.startswith("\\")]  # has a random word


@pytest.mark.parametrize("filled", ["0010", "0012"], indirect=True)
def test_an_upgraded_database_has_the_schema_of_a_new_one(filled, make_service, cleanup):
    migrate(filled)
    assert schema_of(filled) == schema_of(make_service(cleanup, redis="none"))


def columns_of(service, table):
    names = service.query("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass "
                          "AND attnum > 0 ORDER BY attnum", table)
    return ", ".join(name for (name,) in names)


@pytest.mark.parametrize("filled", ["0012"], indirect=True)
def test_the_program_s_rows_and_rights_move_with_their_tables(filled):
    columns = {table: columns_of(filled, table) for table in MOVED}
    before = {table: filled.query(f"SELECT ({columns[table]})::text FROM {table} ORDER BY 1") for table in MOVED}
    assert all(before.values())
    role = "writer_" + filled.database_url.rsplit("/ras_", 1)[1]
    filled.query(f"CREATE ROLE {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    program = migrate(filled)
    filled.query(f"SET LOCAL ROLE {role}; SELECT count(*) FROM aggregator_state.consumer_offsets")
    assert {table: filled.query(f"SELECT ({columns[table]})::text FROM aggregator_state.{table} ORDER BY 1")
            for table in MOVED} == before
    program.start()
    check_answers(filled, program)


def test_the_newest_migrations_keep_what_the_view_holds(filled):
    service = filled
    failed = service.query("SELECT essay_id FROM essay_results WHERE spellcheck_status = 'FAILED'")
    service.query("UPDATE essay_results SET spellcheck_error_detail = %s WHERE essay_id = %s",
                  MADE_UP, failed[0][0])
    program = migrate(service)
    program.start()
    details = service.query("SELECT spellcheck_error_detail::text FROM essay_results "
                            "WHERE spellcheck_status = 'FAILED'")
    assert len(details) > 1 and details.count((None,)) == 1, "an error that nobody stated"
    service.query("UPDATE essay_results SET spellcheck_error_detail = '{}' WHERE essay_id = %s",
                  failed[0][0])
    check_answers(service, program)


def test_re_reading_the_log_over_an_earlier_release_s_rows_changes_nothing(filled):
    service = filled
    program = migrate(service)
    service.feed("current")
    program.start()
    service.wait_committed(len(read_records("current")))
    check_answers(service, program)
    done = program.command("rebuild", "--yes", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    check_answers(service, program)
    assert service.query("SELECT count(*) FROM phase_outcomes WHERE correlation_id IS NULL") == \
        [(0,)], "what only the log knows"
    assert program.command("verify", check=False).returncode == 0

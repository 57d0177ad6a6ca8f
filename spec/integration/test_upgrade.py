"""A database that an earlier release has filled: migrated, it answers as it did, and goes on."""
import shutil

import psycopg2
import pytest
from harness import expectations, read_records
from stack import ROOT, wait_until
from views import differences

FILLED = ROOT / "spec/fixtures/upgrade/0010.sql"  # by the release with the migrations up to this one
MADE_UP = '{"error_code":"SPELLCHECK_SERVICE_ERROR","message":"Spell check failed"}'


def earlier_sql(folder):
    """The queries, and the migrations of the release that filled the database; how many are newer."""
    shutil.copytree(ROOT / "sql", folder)
    newer = [path for path in (folder / "migrations").glob("*.sql") if path.name[:4] > FILLED.stem]
    for path in newer:
        path.unlink()
    return folder, len(newer)


def check_answers(service, program):
    for batch_id, in service.query("SELECT batch_id FROM batch_results "
                                   "WHERE registration_at IS NOT NULL"):
        wanted = expectations("current")[batch_id]
        wait_until(f"the answer of {batch_id}",
                   lambda: differences(wanted, program.status_of(batch_id)) == [])


@pytest.fixture
def filled(make_service, cleanup, tmp_path):
    """A service, not started, on the earlier release's database; how many migrations it lacks."""
    service = make_service(cleanup, redis="none", migrate=False)
    folder, behind = earlier_sql(tmp_path / "sql")
    service.prepare(SQL_ROOT=str(folder)).command("migrate")
    with psycopg2.connect(service.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(FILLED.read_text())
    return service, behind


def test_the_newest_migrations_keep_what_the_view_holds(filled):
    service, behind = filled
    failed = service.query("SELECT essay_id FROM essay_results WHERE spellcheck_status = 'FAILED'")
    service.query("UPDATE essay_results SET spellcheck_error_detail = %s WHERE essay_id = %s",
                  MADE_UP, failed[0][0])
    program = service.prepare()
    assert program.command("migrate").stdout == f"{behind} migrations applied\n"
    program.start()
    details = service.query("SELECT spellcheck_error_detail::text FROM essay_results "
                            "WHERE spellcheck_status = 'FAILED'")
    assert len(details) > 1 and details.count((None,)) == 1, "an error that nobody stated"
    service.query("UPDATE essay_results SET spellcheck_error_detail = '{}' WHERE essay_id = %s",
                  failed[0][0])
    check_answers(service, program)


def test_the_log_read_again_over_an_earlier_release_s_rows_says_the_same(filled):
    service, _ = filled
    program = service.prepare()
    program.command("migrate")
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

"""A database that an earlier release has filled: migrated, it answers as it did."""
import shutil

import pytest
from harness import expectations, read_records, slot_event
from stack import ROOT
from views import check_view

ESSAY = "00000000-0000-4000-8000-000000000000"  # one that no registration lists


def without_newest_migrations(count, folder):
    shutil.copytree(ROOT / "sql", folder)
    for newest in sorted((folder / "migrations").glob("*.sql"))[-count:]:
        newest.unlink()
    return folder


def check_linked(program, batch_id):
    """The essay is shown in the batch, of which only its own row knows."""
    essays = program.status_of(batch_id)["essays"]
    assert ESSAY in [essay["essay_id"] for essay in essays]


@pytest.mark.parametrize("behind", [1, 2])
def test_the_newest_migrations_keep_what_the_view_holds(make_service, cleanup, tmp_path, behind):
    service = make_service(cleanup, redis="none", migrate=False)
    older = service.prepare(SQL_ROOT=str(without_newest_migrations(behind, tmp_path / "sql")))
    older.command("migrate")
    older.start()
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    check_view(older, "current")
    batch_id = min(expectations("current"))
    service.publish([slot_event(batch_id, ESSAY, "late.txt")])
    service.wait_committed(len(read_records("current")) + 1)
    check_linked(older, batch_id)
    older.kill()
    newer = service.prepare()
    assert newer.command("migrate").stdout == f"{behind} migrations applied\n"
    newer.start()
    check_linked(newer, batch_id)
    assert newer.command("verify", check=False).returncode == 0

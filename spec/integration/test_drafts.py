"""aggregator new migration, migrate --redo: the DDL of a changed view is written, applied, taken
back and applied again."""
import re
import shutil

import pytest
from stack import ROOT

TABLES = """
  { name = "notes", key = { { "note_id", "text" }, { "content_id", "content" } }, content = "note",
    groups = { { name = "note", rule = "first", columns = {
      { "author_id", "id" }, { "words", "integer" }, { "tags", "text[]" }, { "score", "double" },
      { "state", "essay_phase_status" } } } } },
"""
COLUMNS = """{ "completion_duration_s", "double" },
          { "completion_note", "json" },"""


@pytest.fixture
def program(make_service, cleanup, tmp_path):
    """A program with scripts and SQL of its own, on a migrated database."""
    for name in ("scripts", "sql"):
        shutil.copytree(ROOT / name, tmp_path / name)
    service = make_service(cleanup, redis="none", migrate=False)
    program = service.prepare(SCRIPTS_ROOT=str(tmp_path / "scripts"),
                              SQL_ROOT=str(tmp_path / "sql"))
    program.command("migrate")
    program.folder_of_scripts = tmp_path
    program.query = service.query
    return program


def declare(program, tables=TABLES, columns=COLUMNS):
    view = program.folder_of_scripts / "scripts/view.lua"
    text = (ROOT / "scripts/view.lua").read_text()
    text = text.replace('{ "completion_duration_s", "double" },', columns)
    view.write_text(re.sub(r"\n}\s*$", f"{tables}}}\n", text))


def migrations(program):
    return sorted((program.folder_of_scripts / "sql/migrations").iterdir())


def draft_of(program, name="notes"):
    done = program.command("new", "migration", name)
    path = migrations(program)[-1]
    assert done.stdout.startswith(f"wrote {path}\n") and path.name.endswith(f"_{name}.sql")
    return path


def test_a_draft_makes_the_database_agree_with_the_view(program):
    before = len(migrations(program))
    declare(program)
    differing = program.command("check", check=False)
    assert differing.returncode == 1 and "notes" in differing.stderr
    path = draft_of(program)
    assert len(migrations(program)) == before + 1
    assert int(path.name[:4]) == int(migrations(program)[-2].name[:4]) + 1
    assert program.command("migrate").stdout == "1 migration applied\n"
    assert "database: good" in program.command("check").stdout
    # nothing is left to write
    refused = program.command("new", "migration", "again", check=False)
    assert refused.returncode == 1 and "has every table and column" in refused.stderr
    assert migrations(program)[-1] == path


def test_a_draft_is_taken_back_and_applied_again(program):
    declare(program)
    path = draft_of(program)
    program.command("migrate")
    path.write_text(path.read_text() + 'CREATE INDEX notes_by_author ON notes (author_id);\n')
    changed = program.command("migrate", check=False)
    assert changed.returncode == 1 and "has changed since it was applied" in changed.stderr
    assert program.command("migrate", "--redo", check=False).returncode == 1  # no terminal to ask on
    redone = program.command("migrate", "--redo", "--yes")
    assert redone.stdout == f"{path.name} taken back and applied again\n0 migrations applied\n"
    assert program.query("SELECT to_regclass('notes_by_author') IS NOT NULL") == [(True,)]
    assert "database: good" in program.command("check").stdout
    # what was applied is undone, not what the file says now
    declare(program, tables="", columns='{ "completion_duration_s", "double" },')
    path.unlink()
    assert "taken back" in program.command("migrate", "--redo", "--yes").stdout
    assert program.query("SELECT to_regclass('notes')") == [(None,)]
    assert "database: good" in program.command("check").stdout


def test_a_draft_with_a_mistake_takes_nothing_back(program):
    """Neither the draft, whose new text has an error, nor, at a second attempt, the file before."""
    declare(program)
    path = draft_of(program)
    program.command("migrate")
    program.query("INSERT INTO notes (note_id, content_id) VALUES ('n', gen_random_uuid())")
    good = path.read_text()
    path.write_text(good + "CREATE TABLE more (x txt);\n")
    for _ in range(2):
        failed = program.command("migrate", "--redo", "--yes", check=False)
        assert failed.returncode == 1 and 'type "txt" does not exist' in failed.stderr
        assert "taken back" not in failed.stdout
    assert program.query("SELECT note_id FROM notes") == [("n",)]
    path.write_text(good)
    newer = path.with_name("9000_newer.sql")
    newer.write_text("-- undo: DROP TABLE newer;\nCREATE TABLE newer (x txt);\n")
    failed = program.command("migrate", "--redo", "--yes", check=False)
    assert failed.returncode == 1 and "9000_newer.sql" in failed.stderr
    assert program.query("SELECT note_id FROM notes") == [("n",)]
    newer.write_text("-- undo: DROP TABLE newer;\nCREATE TABLE newer (x text);\n")
    assert program.command("migrate", "--redo", "--yes").stdout == "1 migration applied\n"
    older = migrations(program)[0]
    older.write_text(older.read_text() + "-- edited\n")
    failed = program.command("migrate", "--redo", "--yes", check=False)
    assert "has changed since it was applied" in failed.stderr
    assert program.query("SELECT to_regclass('newer') IS NOT NULL") == [(True,)]


def test_a_released_migration_is_not_taken_back(program):
    refused = program.command("migrate", "--redo", "--yes", check=False)
    assert refused.returncode == 1 and "had no line `-- undo: STATEMENT`" in refused.stderr
    assert "database: good" in program.command("check").stdout


def test_a_failing_undo_changes_nothing(program):
    declare(program)
    path = draft_of(program)
    program.command("migrate")
    program.query("CREATE VIEW holder AS SELECT note_id FROM notes")
    failed = program.command("migrate", "--redo", "--yes", check=False)
    assert failed.returncode == 1 and f"{path.name}: undo: " in failed.stderr
    assert "depend on it" in failed.stderr
    assert "database: good" in program.command("check").stdout


def test_a_draft_says_which_column_has_another_type(program):
    declare(program, tables="", columns=COLUMNS)
    program.query("ALTER TABLE batch_results ALTER COLUMN essay_count TYPE bigint")
    text = draft_of(program).read_text()
    assert '-- "batch_results"."essay_count" is bigint; the view declares it as integer.' in text


def test_no_draft_is_written_for_types_alone(program):
    program.query("ALTER TABLE batch_results ALTER COLUMN essay_count TYPE bigint")
    refused = program.command("new", "migration", "notes", check=False)
    assert refused.returncode == 1
    assert '"batch_results"."essay_count" is bigint; the view declares it as integer' in refused.stderr
    assert not any(path.name.endswith("_notes.sql") for path in migrations(program))


def test_no_draft_is_written_while_migrations_are_pending(program):
    declare(program)
    (program.folder_of_scripts / "sql/migrations/9000_later.sql").write_text("SELECT 1;\n")
    refused = program.command("new", "migration", "notes", check=False)
    assert refused.returncode == 1 and "1 migration is not applied" in refused.stderr

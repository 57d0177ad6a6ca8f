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
    assert "`aggregator migrate --redo` takes it back" in changed.stderr
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
    assert ('-- "batch_results"."essay_count" is bigint; the view declares it as integer. Yours to write, if '
            'the values can be kept:\n-- ALTER TABLE "batch_results" ALTER COLUMN "essay_count" TYPE integer '
            'USING "essay_count"::integer;\n') in text


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


TYPED = """
  { name = "notes", key = { { "note_id", "uuid" }, { "day", "date" } }, groups = {
    { name = "note", rule = "latest", columns = { { "author", "bigint" }, { "links", "uuid[]" } } },
    { name = "labels", rule = "set", columns = { { "labels", "id[]" } } },
    { name = "readers", rule = "count", columns = { { "reader_count", "integer" } } } } },
"""

def test_a_draft_has_the_columns_of_sets_and_counts_and_is_redone(program):
    declare(program, tables=TYPED)
    path = draft_of(program)
    text = path.read_text()
    for line in ('"note_id" uuid,', '"day" date,', '"author" bigint,', '"links" uuid[],',
                 '"labels" text[] COLLATE "C",', '"readers_sources" uuid[],',
                 '"reader_count" integer GENERATED ALWAYS AS (coalesce(cardinality('
                 '"readers_sources"), 0)) STORED,',
                 '-- to find rows by an item: CREATE INDEX ON "notes" USING gin ("labels");'):
        assert f"{line}\n" in text
    program.command("migrate")
    assert "database: good" in program.command("check").stdout
    program.query("INSERT INTO notes (note_id, day, readers_sources) VALUES "
                  "(gen_random_uuid(), '2026-02-01', ARRAY[gen_random_uuid()])")
    assert program.query("SELECT reader_count FROM notes") == [(1,)]
    # what a later group adds to the table, taken back and applied again
    more = TYPED.replace('{ name = "readers"', """{ name = "likes", rule = "count",
      columns = { { "like_count", "integer" } } },
    { name = "readers\"""")
    declare(program, tables=more)
    later = draft_of(program, "likes")
    program.command("migrate")
    assert "database: good" in program.command("check").stdout
    later.write_text(later.read_text() + "-- again\n")
    assert "taken back and applied again" in program.command("migrate", "--redo", "--yes").stdout
    assert "database: good" in program.command("check").stdout
    assert program.query("SELECT like_count FROM notes") == [(0,)]


def test_a_count_that_postgres_does_not_compute_is_refused(program):
    declare(program, tables=TYPED)
    path = draft_of(program)
    path.write_text(re.sub(r"(reader_count\" integer) GENERATED.*STORED", r"\1", path.read_text()))
    program.command("migrate")
    refused = program.command("check", check=False)
    assert refused.returncode == 1
    assert ("reader_count: the rule count needs it as integer GENERATED ALWAYS AS (coalesce(cardinality("
            '"readers_sources"), 0)) STORED') in refused.stderr
    assert "aggregator new migration NAME" in refused.stderr


def test_no_draft_names_a_type_that_the_database_lacks(program):
    declare(program, tables=TABLES.replace("essay_phase_status", "essay_phase_statsu"))
    refused = program.command("new", "migration", "notes", check=False)
    assert refused.returncode == 1
    assert ('column state: no type "essay_phase_statsu", and no enum of the database: did you mean '
            '"essay_phase_status"?') in refused.stderr
    assert "CREATE TYPE mood AS ENUM" in refused.stderr
    assert not any(path.name.endswith("_notes.sql") for path in migrations(program))


def test_without_a_database_the_draft_says_which_setting_names_it(program):
    declare(program)
    program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"] = "postgresql://ras@127.0.0.1:1/ras"
    refused = program.command("new", "migration", "notes", check=False)
    assert refused.returncode == 1
    assert "postgres.url" in refused.stderr and ". .run/env" in refused.stderr


def test_a_count_of_another_name_or_rule_has_its_draft(program):
    """The column stays in the view, and what Postgres computes it of does not."""
    declare(program, tables=TYPED)
    draft_of(program)
    program.command("migrate")
    latest = '{ name = "seen", rule = "latest", columns = { { "reader_count", "integer" } } }'
    for number, group in enumerate((
            '{ name = "readerz", rule = "count", columns = { { "reader_count", "integer" } } }', latest,
            '{ name = "seen", rule = "count", columns = { { "reader_count", "integer" } } }')):
        declare(program, tables=re.sub(r'{ name = "readers".*? } } }', group, TYPED))
        refused = program.command("check", check=False)
        assert refused.returncode == 1 and "aggregator new migration NAME" in refused.stderr
        assert (("column reader_count: Postgres computes it as COALESCE(cardinality(" if group == latest else
                 "column reader_count: the rule count needs it as integer GENERATED") in refused.stderr)
        path = draft_of(program, f"change_{number}")
        for _ in range(2):  # again after its undo
            program.command("migrate", "--redo", "--yes")
            assert "database: good" in program.command("check").stdout
            path.write_text(path.read_text() + "-- again\n")
        program.command("migrate", "--redo", "--yes")
    program.query("INSERT INTO notes (note_id, day, seen_sources) VALUES "
                  "(gen_random_uuid(), '2026-02-01', ARRAY[gen_random_uuid()])")
    assert program.query("SELECT reader_count FROM notes") == [(1,)]

"""`aggregator types`: editor definitions of the service, made from the scripts on disk."""
import os
import subprocess

from stack import ROOT


def types_of(build, scripts, *options):
    return subprocess.run([build / "aggregator", "types", *options], capture_output=True,
                          text=True, check=False, cwd=ROOT, timeout=120,
                          env=os.environ | {"SCRIPTS_ROOT": str(scripts)})


def test_types_need_no_server_and_follow_the_scripts(build, scripts):
    first = types_of(build, scripts)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("---@meta _\n")
    path = scripts / "handlers/essay_slot_assigned.lua"
    path.write_text(path.read_text().replace("fields = {", 'fields = {\n    shelf = "data.shelf",'))
    second = types_of(build, scripts)
    added = set(second.stdout.splitlines()) - set(first.stdout.splitlines())
    assert added == {"---@field shelf string data.shelf"}


def test_every_handler_names_its_own_class(build):
    """Otherwise the editor completes fields of another handler."""
    text = types_of(build, ROOT / "scripts").stdout
    for path in (ROOT / "scripts/handlers").glob("*.lua"):
        assert f"---@type handlers.{path.stem}\nreturn {{" in path.read_text(), path
        assert f"---@class handlers.{path.stem}: Handler\n" in text


def test_every_reaction_names_its_own_class_with_the_columns_of_its_query(build):
    text = types_of(build, ROOT / "scripts").stdout
    for path in (ROOT / "scripts/reactions").glob("*.lua"):
        assert f"---@type reactions.{path.stem}\nreturn {{" in path.read_text(), path
        assert f"---@class reactions.{path.stem}: Reaction\n" in text
    assert ("---@field publish fun(row: sql.reaction_judgements.Row): Message|Message[]|nil\n") in text
    row = text.partition("---@class sql.reaction_judgements.Row\n")[2].partition("\n\n")[0]
    assert row.splitlines() == [
        "---@field key string", "---@field user_id string", "---@field job_id string",
        "---@field correlation_id string", "---@field essay_ids (string|json.Null)[]",
        "---@field ranks (integer|json.Null)[]", "---@field scores (number|json.Null)[]",
        "---@field letter_grades (string|json.Null)[]",
        "---@field confidence_scores (number|json.Null)[]",
        "---@field confidence_labels (string|json.Null)[]", "---@field at integer"]


def test_types_of_broken_scripts_are_refused(build, scripts):
    (scripts / "view.lua").write_text("return {")
    failed = types_of(build, scripts)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "aggregator: types: " in failed.stderr and "view.lua:" in failed.stderr


def test_a_full_disk_is_reported(build):
    with open("/dev/full", "w", encoding="utf-8") as full:
        failed = subprocess.run([build / "aggregator", "types"], stdout=full, cwd=ROOT, text=True,
                                stderr=subprocess.PIPE, check=False, timeout=120)
    assert failed.returncode == 1
    assert "standard output cannot be written" in failed.stderr

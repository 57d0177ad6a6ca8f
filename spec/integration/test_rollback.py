"""The scripts that ran before run again, from the memory of the process or from the database."""

import pytest
from harness import database_away, log_lines
from scripts_copy import HANDLER, assign, command, reload
from stack import wait_until


@pytest.fixture
def service(bare_service, own_scripts):
    bare_service.start(**own_scripts.env)
    bare_service.wait_ready()
    return bare_service


def test_a_rollback_does_not_need_the_files(service, own_scripts):
    for number, prefix in enumerate(("second ", "third "), 2):
        own_scripts.name_files(prefix)
        assert reload(service.program)["generation"] == number
    own_scripts.edit(f"scripts/{HANDLER}", "return {", "return broken {")
    status, said = command(service.program, "rollback")
    assert status == 0 and said["generation"] == 2
    assert assign(service, "back") == "second file"
    status, said = command(service.program, "rollback", "1")
    assert status == 0 and said["generation"] == 1
    assert assign(service, "first") == "file"
    status, said = command(service.program, "rollback", "7")
    assert status == 1 and said["error"] == "generation 7 is unknown; kept are: 2, 3"
    own_scripts.name_files("fourth ")
    assert reload(service.program)["generation"] == 4
    assert command(service.program, "rollback", "3")[0] == 0
    assert command(service.program, "rollback", "7")[1]["error"].endswith("; kept are: 1, 2, 4")


def test_a_rollback_without_another_generation_says_so(service):
    status, said = command(service.program, "rollback")
    assert status == 1 and said["error"] == "no other generation has run on this database"


def stored(service):
    return [row[0] for row in service.query(
        "SELECT hash FROM aggregator_state.script_generations ORDER BY last_ran_at DESC")]


def test_a_rollback_after_a_restart_finds_the_scripts_in_the_database(service, own_scripts):
    first = command(service.program, "status", "--json")[1]["health"]["scripts"]["hash"]
    own_scripts.name_files("second ")
    second = reload(service.program)["hash"]
    wait_until("both to be stored", lambda: stored(service) == [second, first])
    own_scripts.name_files("third ")
    service.program.kill()
    program = service.start(**own_scripts.env)
    wait_until("the third to be stored", lambda: stored(service)[1:] == [second, first])
    assert assign(service, "after") == "third file"
    status, said = command(program, "rollback")
    assert status == 0 and said["hash"] == second and said["generation"] == 2
    assert said["changed"] == [str(own_scripts.folder / "scripts" / HANDLER)]
    assert assign(service, "back") == "second file"
    status, said = command(program, "rollback", first[:8])
    assert status == 0 and said["hash"] == first and said["generation"] == 3
    assert assign(service, "first") == "file"
    wait_until("the order", lambda: stored(service)[:2] == [first, second])
    listed = command(program, "status", "--json")[1]["stored_generations"]
    assert [one["hash"] for one in listed] == stored(service)
    assert all(one["first_ran_at"] <= one["last_ran_at"] for one in listed)


def test_a_rollback_to_stored_scripts_that_the_settings_do_not_fit_is_refused(service, own_scripts):
    first = wait_until("the first to be stored", lambda: stored(service))[0]
    assert service.program.stop() == 0
    (own_scripts.folder / "scripts/lib/more.lua").write_text("return {}\n")
    program = service.start(**own_scripts.env, AGGREGATOR_SCRIPTS_INTERPRETED="lib/more")
    status, said = command(program, "rollback", first[:8])
    assert status == 1 and 'scripts.interpreted' in said["error"]
    assert 'has no file "lib/more.lua"' in said["error"]


WRONG_NAME = ("send the number of a generation, or eight or more digits of its hash: aggregator "
              "status lists them")


@pytest.mark.parametrize("which, error", [
    ("00000000", "no generation 00000000 has run on this database, or too long ago"),
    ("%", WRONG_NAME),
    ("abc", WRONG_NAME),
])
def test_a_rollback_to_an_unknown_generation_says_so(service, which, error):
    status, said = command(service.program, "rollback", which)
    assert status == 1 and said["error"] == error


def test_stored_files_changed_by_hand_are_not_run(service, own_scripts):
    first = wait_until("the first to be stored", lambda: stored(service))[0]
    service.query("UPDATE aggregator_state.script_files SET source = source || '--' WHERE name = 'view'")
    own_scripts.name_files("second ")
    service.program.kill()
    program = service.start(**own_scripts.env)
    wait_until("the second to be stored", lambda: len(stored(service)) == 2)
    status, said = command(program, "rollback")
    assert status == 1
    assert said["error"] == f"the stored files of generation {first} were changed since it ran"


def test_the_generations_that_ran_longest_ago_are_forgotten(bare_service, own_scripts):
    bare_service.query("INSERT INTO aggregator_state.script_generations SELECT 'old ' || number, now(), now() - "
                       "number * interval '1 day' FROM generate_series(1, 30) AS number")
    bare_service.start(**own_scripts.env)
    kept = wait_until("the running one", lambda: len(stored(bare_service)) == 20 and
                      stored(bare_service))
    assert kept[1:] == [f"old {number}" for number in range(1, 20)]


def test_the_scripts_are_stored_when_the_database_is_back(bare_service, own_scripts):
    bare_service.query("ALTER TABLE aggregator_state.script_files RENAME TO away")
    program = bare_service.start(**own_scripts.env)
    wait_until("the warning", lambda: log_lines(program, "the running scripts are not stored yet: "
               "a rollback after a restart would not find them; the next attempt follows"))
    bare_service.query("ALTER TABLE aggregator_state.away RENAME TO script_files")
    wait_until("the scripts", lambda: stored(bare_service))


def test_a_rollback_needs_no_database(service, own_scripts):
    program = service.program
    own_scripts.name_files("new ")
    reload(program)
    with database_away(service):
        status, said = command(program, "rollback")
        assert status == 0 and said["generation"] == 1, said
        assert log_lines(program, "the database is unavailable: the scripts are not checked against its "
                         "schema again")
        status, said = command(program, "reload")
        assert status == 1 and said["done"] is False and said["generation"] == 1, said
    assert assign(service, "after") == "file"

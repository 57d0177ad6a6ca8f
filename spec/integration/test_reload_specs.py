"""A reload runs the service's specs first: only scripts that pass them replace the running ones."""
import threading

from scripts_copy import HANDLER, HeldSpecs, assign, command, reload
from stack import ROOT


def test_scripts_that_fail_the_specs_are_refused(bare_service, own_scripts):
    spec = ROOT / "spec/unit/handlers/essay_slot_assigned_spec.lua"
    program = bare_service.start(SCRIPTS_SPECS=str(spec), **own_scripts.env)
    bare_service.wait_ready()
    own_scripts.name_files("wrong ")
    status, said = command(program, "reload")
    assert status == 1 and said["done"] is False and said["generation"] == 1
    assert said["error"].startswith("the specs fail: ") and "essay_slot_assigned" in said["error"]
    assert assign(bare_service, "after") == "file"
    own_scripts.restore(f"scripts/{HANDLER}")
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function", "-- as it was\n  handle = function")
    assert reload(program)["generation"] == 2


def test_missing_specs_refuse_a_reload(bare_service, own_scripts):
    program = bare_service.start(SCRIPTS_SPECS="/nowhere", **own_scripts.env)
    own_scripts.name_files("new ")
    status, said = command(program, "reload")
    assert status == 1 and said["error"].startswith("the specs fail: test: /nowhere: No such file")


def test_specs_that_do_not_end_refuse_a_reload(bare_service, own_scripts):
    specs = HeldSpecs(bare_service.folder)
    program = specs.give(bare_service.prepare(AGGREGATOR_SCRIPTS_SPECS_TIMEOUT_S="1",
                                              **own_scripts.env)).start()
    own_scripts.name_files("new ")
    status, said = command(program, "reload")
    assert (status, said["generation"]) == (1, 1)
    assert said["error"] == f"the specs in {specs.path}: timed out after 1 s"


def test_scripts_that_change_while_the_specs_run_are_not_those_that_passed(bare_service, own_scripts):
    specs = HeldSpecs(bare_service.folder)
    program = specs.give(bare_service.prepare(**own_scripts.env)).start()
    bare_service.wait_ready()
    own_scripts.name_files("tested ")
    answers = []
    reloading = threading.Thread(target=lambda: answers.append(command(program, "reload")))
    reloading.start()
    specs.wait_begun()
    own_scripts.name_files("untested ")
    specs.let_go()
    reloading.join()
    (status, said), = answers
    assert (status, said["generation"]) == (1, 1)
    assert said["error"] == "the scripts changed while the specs ran: reload again"
    assert assign(bare_service, "before") == "file"
    assert reload(program)["generation"] == 2
    assert assign(bare_service, "after") == "untested file"

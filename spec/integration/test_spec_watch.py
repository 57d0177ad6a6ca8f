"""`aggregator test --watch`: specs run again when a file changes."""
import re
import shutil
import signal
import time

import pytest
from stack import ROOT, Process, wait_until

SPEC = "spec/unit/lib/mine_spec.lua"
SPEC_TEXT = """describe("lib.mine", function()
  it("has a value", function() assert.equal({value}, require("lib.mine").value) end)
end)
"""
SEPARATOR = re.compile(r"^---- run (\d+), \d\d:\d\d:\d\d ----$", re.MULTILINE)


@pytest.fixture
def tree(tmp_path):
    """What `aggregator test` reads, to be changed."""
    for name in ("scripts", "sql", "spec/support"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "config.lua", tmp_path)
    (tmp_path / "spec/unit/lib").mkdir(parents=True)
    (tmp_path / "scripts/lib/mine.lua").write_text("return { value = 1 }\n")
    (tmp_path / SPEC).write_text(SPEC_TEXT.format(value=1))
    return tmp_path


class Watch(Process):
    """`aggregator test --watch` in a tree."""

    def __init__(self, folder, tree, program, *options):
        super().__init__(folder)
        self.spawn([program, "test", "--watch", *options], cwd=tree)

    def runs(self):
        """The output of each run so far."""
        parts = SEPARATOR.split(self.log.read_text())[::2]
        return [part for part in parts if re.search(r"^\d+ passed, \d+ failed$", part, re.M)]

    def looks(self):
        """The number of waits for changes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])

    def is_running_specs(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return bool(children.read())

    def wait_look(self):
        """Waits until it has looked at the files once more, and is not running specs."""
        wait_until("the end of the run", lambda: not self.is_running_specs())
        seen = self.looks()
        wait_until("a look that began after that", lambda: self.looks() >= seen + 2)

    def interrupt(self):
        """Ctrl-C between two runs; the exit status."""
        wait_until("the end of the run", lambda: not self.is_running_specs())
        self.send(signal.SIGINT)
        return self.process.wait(timeout=120)

    def wait_run(self, number):
        """The text of that run, counted from 1."""
        return wait_until(f"run {number}", lambda: self.runs()[number - 1:number])[0]


@pytest.fixture
def watch(tmp_path_factory, tree, build, cleanup):
    def start(*options):
        process = Watch(tmp_path_factory.mktemp("watch"), tree, build.resolve() / "aggregator",
                        *options)
        cleanup.callback(process.kill)
        return process

    return start


@pytest.mark.parametrize("file, text", [
    ("scripts/lib/mine.lua", "return { value = 2 }\n"), (SPEC, SPEC_TEXT.format(value=2))])
def test_a_change_runs_the_specs_again(watch, tree, file, text):
    process = watch()
    assert "1 passed, 0 failed" in process.wait_run(1)
    before = (tree / file).read_text()
    (tree / file).write_text(text)
    assert "0 passed, 1 failed" in process.wait_run(2) and SPEC in process.wait_run(2)
    (tree / file).write_text(before)
    assert "1 passed, 0 failed" in process.wait_run(3)
    assert SEPARATOR.findall(process.log.read_text()) == ["2", "3"]
    assert process.interrupt() == 0


def test_the_configuration_is_read_again(watch, tree):
    process = watch()
    process.wait_run(1)
    config = (tree / "config.lua").read_text()
    (tree / "config.lua").write_text(config.replace("scripts = {", "scripst = {"))
    wait_until("the error", lambda: "scripst" in process.log.read_text())
    (tree / "config.lua").write_text(config)
    assert "1 passed, 0 failed" in process.wait_run(2)


def test_new_files_count_and_editors_drafts_do_not(watch, tree):
    process = watch()
    process.wait_run(1)
    for draft in (".mine_spec.lua.swp", "mine_spec.lua~"):
        (tree / "spec/unit/lib" / draft).write_text("draft")
    process.wait_look()
    (tree / "spec/unit/other_spec.lua").write_text(SPEC_TEXT.format(value=1))
    assert "2 passed, 0 failed" in process.wait_run(2)
    assert len(process.runs()) == 2


def save_in_steps(process, script):
    """Empties the file, waits until the watch has read it, and writes it. Returns the seconds
    between."""
    process.wait_look()
    seen = process.looks()
    script.write_text("")
    before = time.monotonic()
    while process.looks() == seen:
        before = time.monotonic()
    script.write_text("return { value = 1, saved = true }\n")
    return time.monotonic() - before


def test_a_file_that_is_saved_in_steps_is_run_once_and_whole(watch, tree):
    """Editors empty a file, then write it."""
    for _ in range(10):
        process = watch()
        process.wait_run(1)
        if save_in_steps(process, tree / "scripts/lib/mine.lua") < 0.1:
            break  # else this test was held up in between, and the file looked saved while empty
        process.kill()
    assert "1 passed, 0 failed" in process.wait_run(2)
    process.wait_look()
    assert process.interrupt() == 0
    assert SEPARATOR.findall(process.log.read_text()) == ["2"]


def test_the_status_is_that_of_the_last_run(watch, tree):
    process = watch("--coverage-min=100")  # the other scripts have no spec here
    assert "the minimum is 100.0 %" in process.wait_run(1)
    assert process.interrupt() == 1


def test_a_script_that_cannot_be_loaded_does_not_end_the_watch(watch, tree):
    process = watch()
    process.wait_run(1)
    view = (tree / "scripts/view.lua").read_text()
    (tree / "scripts/view.lua").write_text("return {")
    wait_until("the error", lambda: "view.lua:1" in process.log.read_text())
    (tree / "scripts/view.lua").write_text(view)
    assert "1 passed, 0 failed" in process.wait_run(2)


def test_interrupted_in_the_middle_of_a_run_it_ends_at_once(watch, tree):
    (tree / SPEC).write_text('it("is slow", function() while true do end end)\n')
    config = (tree / "config.lua").read_text()
    (tree / "config.lua").write_text(config.replace('root = env("SCRIPTS_ROOT")',
                                                    "route_timeout_ms = 600000"))
    process = watch()
    wait_until("the run", process.is_running_specs)
    process.send(signal.SIGINT)
    assert process.process.wait(timeout=120) == 130

"""A copy of the service's scripts that a test changes, specs that a test holds, reloads, and the events
by which they show."""
import json
import shutil

from harness import of_threads, slot_event
from stack import ROOT, wait_until

SLOTS = "huleedu.els.essay.slot.assigned.v1"
HANDLER = "handlers/essay_slot_assigned.lua"
HELD_SPEC = """local fixtures = require("testing.fixtures")
describe("held", function()
  for case = 1, 3000 do
    it("waits " .. case, function()
      local sum = 0
      for turn = 1, pcall(fixtures.read, "let_go") and 0 or 2e7 do
        sum = (sum + turn) % 7
      end
    end)
  end
end)
"""


class Scripts:
    """A copy of scripts/ and sql/ that a test may change."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("scripts", "sql"):
            shutil.copytree(ROOT / name, folder / name)
        self.env = {"SCRIPTS_ROOT": str(folder / "scripts"), "SQL_ROOT": str(folder / "sql")}

    def write(self, file, text):
        """At once: who reads it meanwhile gets the whole old or new text."""
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / file)

    def edit(self, file, old, new):
        text = (self.folder / file).read_text()
        assert text.count(old) == 1, f"{old} in {file}"
        self.write(file, text.replace(old, new))

    def restore(self, file):
        self.write(file, (ROOT / file).read_text())

    def name_files(self, prefix):
        """Changes the scripts: file names get a prefix."""
        self.restore(f"scripts/{HANDLER}")
        self.edit(f"scripts/{HANDLER}", "filename = event.filename",
                  f'filename = "{prefix}" .. event.filename')


class HeldSpecs:
    """Specs of a program's `scripts.specs` that pass, but end after let_go() only. The program runs in a
    folder of its own, whose spec/fixtures they read."""

    def __init__(self, folder):
        self.tree, self.program = folder / "held", None
        (self.tree / "spec/fixtures").mkdir(parents=True)
        (self.tree / "config.lua").symlink_to(ROOT / "config.lua")
        self.path = self.tree / "held_spec.lua"
        self.path.write_text(HELD_SPEC)

    def give(self, program):
        """Before the start of the program; which it returns."""
        self.program = program
        program.tree = self.tree
        program.env |= {"SCRIPTS_SPECS": str(self.path)}
        return program

    def wait_begun(self):
        wait_until("the specs", lambda: any(of_threads(self.program.process.pid, "children").values()))

    def let_go(self):
        (self.tree / "spec/fixtures/let_go").touch()


def command(program, *words):
    """(exit status, output)"""
    done = program.command(*words, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def reload(program):
    """A worker that is busy for longer than the command waits switches before its next batch."""
    status, said = command(program, "reload")
    assert status == 0 and said["done"] is True, said
    return said


def view_with(case):
    """The text of scripts/view.lua, with the tables of a file of spec/fixtures/cases behind its own."""
    view = (ROOT / "scripts/view.lua").read_text().rstrip().removesuffix("}")
    return view + (ROOT / "spec/fixtures/cases" / case).read_text().split("return {\n")[1]


def filename_of(service, essay):
    rows = service.query("SELECT filename FROM essay_results WHERE essay_id = %s", essay)
    return rows[0][0] if rows else None


def assign(service, essay):
    """Publishes a slot of the essay; returns the file name in the view."""
    service.publish([slot_event("a-batch", essay, "file")])
    return wait_until("the essay", lambda: filename_of(service, essay))


def break_slots(scripts):
    """Each event of a slot is rejected from the next reload on."""
    scripts.restore(f"scripts/{HANDLER}")
    scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                 "handle = function(event, view)\n    error('on purpose')\n")

"""What an editor shows: EmmyLua's checker finds nothing in the scripts of this service and of examples/fleet,
in docs/types and in what `aggregator types` prints; and finds a mistake. `cargo install emmylua_check`
installs it; without it in PATH the tests are skipped."""
import json
import os
import shutil
import subprocess

import pytest
from stack import ROOT

CHECKER = shutil.which("emmylua_check")
pytestmark = pytest.mark.skipif(not CHECKER, reason="emmylua_check is not in PATH: cargo install emmylua_check")
# .luarc.json is for LuaLS: EmmyLua fails at its `runtime.builtin`. What may be nil is not followed: EmmyLua
# does not know that `tonumber` got digits.
SETTINGS = {"runtime": {"version": "LuaJIT"},
            "workspace": {"library": ["support"], "workspaceRoots": ["scripts", "types"]},
            "diagnostics": {"globals": ["env", "env_or_file", "list"],
                            "disable": ["need-check-nil", "unnecessary-if"]}}


@pytest.fixture(params=[".", "examples/fleet"])
def service(request, build, tmp_path):
    """A folder with the service's scripts and all definitions."""
    source = ROOT / request.param
    shutil.copytree(source / "scripts", tmp_path / "scripts")
    shutil.copy(source / "config.lua", tmp_path)
    shutil.copytree(ROOT / "docs/types", tmp_path / "types")
    shutil.copytree(ROOT / "spec/support", tmp_path / "support")
    made = subprocess.run([build.resolve() / "aggregator", "types"], cwd=source, capture_output=True, check=True)
    (tmp_path / "types/service.lua").write_bytes(made.stdout)
    (tmp_path / "emmyrc.json").write_text(json.dumps(SETTINGS))
    return tmp_path


def findings(folder):
    """The checker's output; "" if it finds nothing."""
    done = subprocess.run([CHECKER, ".", "-c", "emmyrc.json", "--warnings-as-errors", "--severity", "warn"],
                          cwd=folder, text=True, capture_output=True, check=False,
                          env=os.environ | {"NO_COLOR": "1"})
    return done.stdout + done.stderr if done.returncode else ""


def test_scripts_and_definitions_have_no_finding(service):
    assert findings(service) == ""


@pytest.mark.parametrize("mistake", ["view:touch(event.misspelt)", 'view.misspelt:merge("k", "g", {})'])
def test_a_misspelt_name_is_found(service, mistake):
    path = sorted((service / "scripts/handlers").glob("*.lua"))[0]
    head = "handle = function(event, view)\n"
    text = path.read_text()
    assert text.count(head) == 1
    path.write_text(text.replace(head, f"{head}    {mistake}\n"))
    assert "Undefined field `misspelt`" in findings(service)

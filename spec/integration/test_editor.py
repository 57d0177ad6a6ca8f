"""What an editor shows: a language server finds nothing in the scripts and definitions of this service and
of examples/fleet, and finds a mistake. It runs EmmyLua's checker or LuaLS, whichever is in PATH."""
import json
import pathlib
import shutil
import subprocess

import pytest
from stack import ROOT

CHECKER = shutil.which("emmylua_check") or shutil.which("lua-language-server")
pytestmark = pytest.mark.skipif(
    not CHECKER, reason="neither emmylua_check (cargo install emmylua_check) nor lua-language-server is in PATH")
SERVICES = {"this service": (".", ["scripts", "config.lua"]),
            "the example": ("examples/fleet", ["scripts", "config.lua", "spec"])}


def problems_of(folder):
    """The diagnostics of a folder: texts, each with its file."""
    if pathlib.Path(CHECKER).name == "emmylua_check":
        done = subprocess.run([CHECKER, folder, "-f", "json", "--severity", "warn"], capture_output=True,
                              text=True, check=False)
        return done.stdout
    return subprocess.run([CHECKER, "--check", folder, "--checklevel=Warning"], capture_output=True,
                          text=True, check=False).stdout

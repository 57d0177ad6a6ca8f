"""Mistakes in scripts or config.lua, in commands and in the running program: each ends with a
message that names the file, and the process goes on."""
import http.client
import os
import shutil
import subprocess

import pytest
from stack import ROOT

CASES = ROOT / "spec/fixtures/cases"


def run(build, *words, **env):
    return subprocess.run([build / "aggregator", *words], capture_output=True, text=True,
                          check=False, cwd=ROOT, timeout=60, env=os.environ | env)


SLIPS = [("handler_returns_module.lua", "handlers/slip.lua", "this is a module"),
         ("route_strict_table.lua", "routes/slip.lua", "metatable")]


@pytest.mark.parametrize("words", [["types"], ["test", "spec/unit/lib"], ["check"]])
@pytest.mark.parametrize("case, place, reason", SLIPS)
def test_a_declaration_that_is_no_plain_table_is_refused(build, scripts, words, case, place, reason):
    shutil.copy(CASES / case, scripts / place)
    done = run(build, *words, SCRIPTS_ROOT=str(scripts))
    assert done.returncode == 1, done.stderr
    assert place in done.stdout + done.stderr and reason in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["types"], ["check"], ["run"]])
def test_a_strict_config_is_refused(build, words):
    config = str(CASES / "config_strict.lua")
    done = run(build, *words, "--config", config)
    assert done.returncode not in (0, None) and done.returncode > 0, done.stderr
    assert f"{config}: must return a table without a metatable" in done.stderr


def ask(program, path, connection=None):
    connection = connection or http.client.HTTPConnection("127.0.0.1", program.port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers, connection


def test_mistakes_in_routes_fail_their_own_requests_only(bare_service, scripts):
    bare_service.start(SCRIPTS_ROOT=str(scripts))
    bare_service.wait_ready()
    program = bare_service.program
    shutil.copy(CASES / "route_returns_request.lua", scripts / "routes/slip.lua")
    (scripts / "routes/empty.lua").write_text(
        'return { path = "/empty", endpoint = "empty", auth = false, handle = function()\n'
        '  return { status = 204 }\nend }\n')
    done = program.command("reload", check=False)
    assert '"done":true' in done.stdout.replace(" ", ""), done.stdout + done.stderr
    assert ask(program, "/panic/x")[:2] == (500, b'{"error":"Internal server error"}')
    status, body, headers, kept = ask(program, "/empty")
    assert (status, body, headers["Content-Length"], headers["Content-Type"]) == (204, b"", None,
                                                                                  None)
    assert ask(program, "/panic/y", kept)[0] == 500  # the same connection
    for case, place, reason in SLIPS:
        shutil.copy(CASES / case, scripts / place)
        done = program.command("reload", check=False)
        assert done.returncode == 1 and place in done.stdout and reason in done.stdout
        (scripts / place).unlink()
    assert ask(program, "/empty")[0] == 204

#!/usr/bin/python3
"""check: the description of the API against the tools of others and the running program. For
tools/openapi, which sets OPENAPI_TOOLS (a folder of programs) and OPENAPI_BUILD.

    check.py [SCHEMATHESIS OPTION…]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "spec/integration")]
import http_client  # noqa: E402
import test_routes  # noqa: E402
from stack import HEADERS, wait_until  # noqa: E402

TOOLS = pathlib.Path(os.environ["OPENAPI_TOOLS"])
# Beside the service's own routes: what they have not, bodies, headers, an export.
EXPORT = """
return { path = "/export", auth = true, stream = true, query = { parts = { type = "integer",
  min = 1, max = 10 } }, handle = function(request)
  return { status = 200, stream = function(write)
    write("[")
    for i = 1, request.query.parts do write((i > 1 and "," or "") .. '"' .. ("x"):rep(40000) .. '"') end
    write("]")
  end }
end }
"""
ROUTES = {"order": test_routes.ORDER, "text": test_routes.TEXT, "export": EXPORT}
STREAMS = "/events$"  # Server-Sent Events have no end: test_live.py covers them


def tool(*words, **options):
    print("+", " ".join(str(word) for word in words), flush=True)
    return subprocess.run([TOOLS / words[0], *words[1:]], check=False, **options).returncode == 0


def start(world):
    scripts = world.folder / "scripts"
    shutil.copytree(ROOT / "scripts", scripts)
    for name, text in ROUTES.items():
        (scripts / f"routes/{name}.lua").write_text(text)
    program = world.start(env={"SCRIPTS_ROOT": str(scripts)}).wait_ready()
    world.feed([http_client.registration("batch-1", "user-1")])
    wait_until("the batch", lambda: program.ask("/internal/v1/batches/batch-1/status").status == 200)
    return program


def run_schemathesis(program, document, options):
    headers = [word for name, value in HEADERS.items() for word in ("-H", f"{name}: {value}")]
    return tool("schemathesis", "run", document, "--url", f"http://127.0.0.1:{program.port}",
                "--checks", "all", "--exclude-path-regex", STREAMS, "--request-timeout", "20",
                "--workers", "1", *headers, *(options or ["--max-examples", "40"]))


def run_client(program, document, folder):
    """Generates a client and calls each of its operations, in the environment of the tools."""
    made = folder / "client"
    calls = {"url": f"http://127.0.0.1:{program.port}", "headers": HEADERS, "streams": STREAMS,
             "document": str(document)}
    return tool("openapi-python-client", "generate", "--path", document, "--output-path", made,
                "--meta", "none", "--overwrite") and tool(
                    "python", ROOT / "tools/lib/openapi/call.py", made, json.dumps(calls))


def main():
    http_client.BUILD = ROOT / os.environ["OPENAPI_BUILD"]
    with http_client.servers() as world:
        program = start(world)
        document = world.folder / "openapi.json"
        document.write_bytes(program.ask("/openapi.json", headers=b"").body)
        passed = {
            "openapi-spec-validator": tool("openapi-spec-validator", document),
            "generated client": run_client(program, document, world.folder),
            "schemathesis": run_schemathesis(program, document, sys.argv[1:]),
        }
    for name, good in passed.items():
        print(f"{'ok  ' if good else 'FAIL'} {name}")
    print(f"{sum(passed.values())} passed, {len(passed) - sum(passed.values())} failed")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The query load: wrk with connections that stay open, each asking again as soon as it is answered.
wrk's times are corrected for what was not asked while an answer was late."""
import json
import pathlib
import subprocess

import stack

SCRIPT = pathlib.Path(__file__).with_name("queries.lua")
CONNECTIONS = 16


class Queries:
    def __init__(self, folder, paths, tails):
        self.paths, self.tails = folder / "paths", tails
        self.paths.write_text("".join(f"{path}\n" for path in paths))

    def start(self, port, seconds):
        """Asks for so many whole seconds; finish() waits for the end."""
        command = ["wrk", "--threads", 1, "--connections", CONNECTIONS, "--duration",
                   f"{seconds}s", "--timeout", "10s", "--script", SCRIPT,
                   f"http://127.0.0.1:{port}", "--", self.paths, *stack.HEADERS.values(),
                   *self.tails]
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                                stdout=subprocess.PIPE, text=True)


def finish(process):
    """What wrk has seen, as queries.lua says it."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"wrk failed:\n{output}")
    return json.loads(output.splitlines()[-1])

"""The query load by tools/ask.c over open connections: each sends its next request after a response,
or requests have a fixed rate."""
import json
import subprocess

import stack

CONNECTIONS = 16
CONNECTIONS_AT_RATE = 64  # more than the program has threads: it is the one that lets wait


class Queries:
    def __init__(self, build, folder, paths, tails, headers=None):
        self.build, self.requests, self.tails = build, folder / "requests", tails
        fields = "".join(f"{name}: {value}\r\n" for name, value in
                         ({"Host": "127.0.0.1"} | (headers or stack.HEADERS)).items())
        self.requests.write_text("".join(f"GET {path} HTTP/1.1\r\n{fields}\r\n" for path in paths),
                                 newline="")

    def start(self, port, seconds, rate=0):
        """Asks for so long; finish() waits for the end."""
        how = ["--rate", rate] if rate else []
        command = [self.build / "ask", *how, port, CONNECTIONS_AT_RATE if rate else CONNECTIONS,
                   seconds, self.requests, *self.tails]
        return subprocess.Popen(stack.tethered(command), stdout=subprocess.PIPE, text=True)


def finish(process):
    """The output of ask."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"the query load failed:\n{output}")
    return json.loads(output)

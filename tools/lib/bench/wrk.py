"""The load of the HTTP bench: wrk, with connections that stay open. What a server answers is looked
at before; afterwards the bytes that came must be as many as those answers have."""
import json
import socket
import subprocess

import stack

from .web_servers import FILES

CONNECTIONS = 16
THREADS = 2
END = b"\r\n\r\n"


class Load:
    """One request, again and again."""

    def __init__(self, path, more_headers=None, tls=None):
        """tls: the ssl.SSLContext of the look, or None. wrk verifies no certificate."""
        self.path, self.headers = path, stack.HEADERS | (more_headers or {})
        self.tls = tls

    def answer(self, port):
        """(status, fields, body, bytes of all that) of one request."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in
                         ({"Host": f"127.0.0.1:{port}"} | self.headers).items())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            if self.tls:
                client = self.tls.wrap_socket(client, server_hostname="localhost")
            client.sendall(f"GET {self.path} HTTP/1.1\r\n{fields}\r\n".encode())
            return read_answer(client.makefile("rb"))

    def run(self, port, seconds):
        """What wrk has seen: {requests, bytes, duration_us, failed}."""
        headers = [word for name, value in self.headers.items() for word in
                   ("-H", f"{name}: {value}")]
        command = ["wrk", "-t", THREADS, "-c", CONNECTIONS, "-d", seconds, "--timeout", 10,
                   *headers, "-s", FILES / "wrk.lua", f"{'https' if self.tls else 'http'}://127.0.0.1:{port}{self.path}"]
        done = subprocess.run(stack.tethered(command), check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])


def read_answer(stream):
    head = b""
    while not head.endswith(END):
        byte = stream.read(1)
        if not byte:
            raise AssertionError(f"the connection ended after {head}")
        head += byte
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in
              (line.partition(":") for line in lines[1:-2])}
    body = stream.read(int(fields.get("content-length", 0)))
    return int(lines[0].split()[1]), fields, body, len(head) + len(body)


def wrong(seen, answer_bytes):
    """How many answers at least were not as the one that was looked at; wrk itself takes only 400
    and above for a failure. The last answer of each connection may have come in part."""
    surplus = seen["bytes"] - seen["requests"] * answer_bytes
    differ = not 0 <= surplus <= CONNECTIONS * answer_bytes
    return max(seen["failed"], int(differ))

"""A reader of a live route's stream."""
import contextlib
import json
import socket
import threading

from http_client import KEYS
from stack import wait_until


def live_path(batch_id="a-batch"):
    return f"/internal/v1/batches/{batch_id}/events"


class Stream:
    """A reader of one stream: its head, and what has come since."""

    def __init__(self, program, path=live_path(), headers=b"", method=b"GET", keys=KEYS):
        self.socket = socket.create_connection(("127.0.0.1", program.port), timeout=120)
        if program.tls:
            self.socket = program.tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.sendall(b"%b %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n"
                            % (method, path.encode(), keys, headers))
        self.bytes, self.ended = b"", False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while data := self.socket.recv(65536):
                self.bytes += data
        except OSError:
            pass
        self.ended = True
        self.socket.close()

    @property
    def head(self):
        return self.bytes.partition(b"\r\n\r\n")[0].decode()

    @property
    def events(self):
        """The events as dictionaries of their fields; data is decoded."""
        body = self.bytes.partition(b"\r\n\r\n")[2]
        found = []
        for block in body.split(b"\n\n")[:-1]:
            fields = [line.partition(": ")[::2] for line in block.decode().splitlines()]
            if any(name == "event" for name, _ in fields):
                event = dict(fields)
                event["data"] = json.loads("\n".join(text for name, text in fields
                                                     if name == "data"))
                found.append(event)
        return found

    def wait_events(self, count):
        wait_until(f"{count} events", lambda: len(self.events) >= count or self.ended)
        assert len(self.events) >= count, self.bytes
        return self.events

    def wait_end(self):
        wait_until("the stream's end", lambda: self.ended)

    def close(self):
        """The thread's recv() ends, too."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()

"""Many readers of live streams on one thread, over non-blocking sockets."""
import contextlib
import re
import resource
import select
import socket
import threading
import time

import stack

ID = re.compile(rb"id: (\w+)\nevent: change\n")
SPARE_DESCRIPTORS = 200


class Reader:
    """One stream: how many events it has had, and the newest of them."""

    def __init__(self, port, path):
        self.path, self.events, self.newest, self.at = path, 0, b"", 0
        self.rest, self.ended, self.came = b"", False, threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port))
        fields = "".join(f"{name}: {value}\r\n" for name, value in stack.HEADERS.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        self.socket.setblocking(False)

    def read(self):
        """Of what has come; an event that has come by half waits."""
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        at, self.ended = time.time(), not data
        whole, _, self.rest = (self.rest + data).rpartition(b"\n\n")
        if ids := ID.findall(whole):
            self.events += len(ids)
            self.newest, self.at = ids[-1], at
            self.came.set()


class Readers:
    """Opens one stream for each path, and reads them all until close()."""

    def __init__(self, port, paths):
        allow_descriptors(len(paths))
        self.epoll, self.stopping = select.epoll(), threading.Event()
        self.all = {}
        for path in paths:
            reader = Reader(port, path)
            self.all[reader.socket.fileno()] = reader
            self.epoll.register(reader.socket, select.EPOLLIN)
        self.thread = threading.Thread(target=self.run, name="live readers", daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            for fd, _ in self.epoll.poll(0.2):
                self.all[fd].read()
                if self.all[fd].ended:
                    self.epoll.unregister(fd)

    def wait_first_events(self):
        stack.wait_until("the first event of each reader",
                         lambda: all(reader.events or reader.ended for reader in self.all.values()))

    @property
    def events(self):
        return sum(reader.events for reader in self.all.values())

    @property
    def ended(self):
        return sum(reader.ended for reader in self.all.values())

    def behind(self, etags):
        """How many have another newest event than the ETag of their path."""
        return sum(reader.newest != etags[reader.path] for reader in self.all.values())

    def close(self):
        self.stopping.set()
        self.thread.join()
        for reader in self.all.values():
            reader.socket.close()
        self.epoll.close()


def allow_descriptors(count):
    """For that many sockets here, and in the program that is started after it."""
    least, most = count + SPARE_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < least:
        raise SystemExit(f"tools/bench live needs {least} open files: raise the hard limit, "
                         f"which is {most} (ulimit -Hn)")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))


@contextlib.contextmanager
def reading(port, paths):
    """Readers that have all had their first event."""
    readers = Readers(port, paths)
    try:
        readers.wait_first_events()
        yield readers
    finally:
        readers.close()

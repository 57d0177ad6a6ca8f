"""A raw HTTP client, a program with its servers, and helpers of the HTTP tests."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid

import certificates
import stack
from stack import HEADERS, ROOT, ROOTS, edited_config, wait_until

TLS = False  # --tls: the listener of each Program speaks TLS
BUILD = None  # the folder of the built program: --build, which conftest.py knows
KNOWN = "15dea567-4e5f-4139-ac56-1758f0bab263"  # the batch of the fixture `world`
STATUS = f"/internal/v1/batches/{KNOWN}/status"
LIST = "/internal/v1/batches/user/teacher"  # its user
KEYS = b"".join(f"{name}: {value}\r\n".encode() for name, value in HEADERS.items())


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The value of a header that may occur once; None: it is missing."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, self.headers
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)


class Client:
    """One connection, byte by byte. tls: an ssl.SSLContext, or None."""

    def __init__(self, port, timeout=60, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost",
                                          suppress_ragged_eofs=False)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def end(self):
        """Half closes: an end of file, without close_notify."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def request(self, path, method="GET", headers=b"", version=b"1.1"):
        return self.send(b"%s %s HTTP/%s\r\nHost: h\r\n%s\r\n" % (
            method.encode(), path if isinstance(path, bytes) else path.encode(), version, headers))

    def receive(self):
        data = self.socket.recv(65536)
        self.pending += data
        return bool(data)

    def answer(self, method="GET"):
        """The next response; None: the server closed or reset the connection."""
        try:
            while b"\r\n\r\n" not in self.pending:
                if not self.receive():
                    assert not self.pending, self.pending
                    return None
            head, self.pending = self.pending.split(b"\r\n\r\n", 1)
            lines = head.decode("ascii").split("\r\n")
            assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z ]*", lines[0]), lines[0]
            status = int(lines[0].split(" ")[1])
            headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
            sizes = [int(value) for name, value in headers if name == "Content-Length"]
            size = sizes[0] if sizes and method != "HEAD" else 0
            while len(self.pending) < size:
                assert self.receive(), "the body was cut"
        except ConnectionError:
            return None
        body, self.pending = self.pending[:size], self.pending[size:]
        return Answer(status, headers, body)

    def closed(self):
        """True when the server closes; False if it sends something."""
        try:
            return not self.pending and not self.receive()
        except ConnectionError:
            return True


class Program(stack.Aggregator):
    """The program with a configuration of its own: edits are (old text, new text)."""

    def __init__(self, folder, *servers, edits=(), env=None):
        # A group of its own: no program waits for another to leave.
        group = {"KAFKA_CONSUMER_GROUP_ID": f"group-{uuid.uuid4()}"}
        super().__init__(folder, BUILD, *servers, env=ROOTS | group | (env or {}))
        self.config = edited_config(self.folder / "config.lua", *edits)
        if TLS:
            authority = certificates.Authority(self.folder / "tls")
            self.serve_tls(*authority.issue("server"), authority.certificate)

    def start(self, wait=True):
        self.spawn([self.build / "aggregator", "run", "--config", self.config], cwd=ROOT,
                   env=self.env)
        wait_until("the program", lambda: not wait or not self.running() or
                   self.get("/healthz")[0] in (200, 503))
        assert self.running(), self.log.read_text()
        return self

    def client(self, **options):
        return Client(self.port, **{"tls": self.tls} | options)

    def ask(self, path, method="GET", headers=KEYS, version=b"1.1"):
        """One request on a connection of its own."""
        with self.client() as client:
            return client.request(path, method, headers, version).answer(method)

    def wait_ready(self):
        wait_until("readiness", lambda: self.get("/readyz")[0] == 200)
        return self

    def wait_batch(self):
        """Until it is ready and answers for KNOWN."""
        self.wait_ready()
        wait_until("the batch", lambda: self.status_of(KNOWN))
        return self

    def samples(self):
        """The metrics as a dictionary: 'name{labels}' to value."""
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in self.get("/metrics")[1].decode().splitlines() if line[0] != "#"}

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def peak_bytes(self):
        """The most that it ever had resident."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextlib.contextmanager
def servers(own_postgres=False):
    """Postgres, Redis and an embedded Kafka, and make(edits=…, env=…) for programs on them."""
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="http-")))
        postgres = None
        if own_postgres or "PG_TEST_URL" not in os.environ:
            postgres = stack.Postgres(folder)
            cleanup.callback(postgres.remove)
            postgres.stop_signal = signal.SIGQUIT  # what it holds is removed, not written out
            cleanup.callback(lambda: postgres.running() and postgres.stop())
            url = postgres.start().url()
        else:
            url = os.environ["PG_TEST_URL"]
        name = f"http_{uuid.uuid4().hex}"
        subprocess.run(["psql", "-qX", url, "-c", f"CREATE DATABASE {name}"], check=True)
        redis = stack.Redis(folder).start()
        cleanup.callback(redis.stop)
        kafka = stack.EmbeddedKafka(folder, BUILD).start()
        cleanup.callback(kafka.kill)
        database_url = url.rsplit("/", 1)[0] + "/" + name
        made = Servers(folder, postgres, redis, kafka, database_url, cleanup)
        made.prepare().command("migrate")
        yield made


class Servers:
    def __init__(self, folder, postgres, redis, kafka, database_url, cleanup):
        self.folder, self.postgres, self.redis, self.kafka = folder, postgres, redis, kafka
        self.database_url, self.cleanup = database_url, cleanup
        self.count = 0

    def prepare(self, edits=(), env=None, brokers=None):
        self.count += 1
        program = Program(self.folder / f"program{self.count}", self.database_url,
                          self.redis.url, brokers or self.kafka.brokers, edits=edits, env=env)
        self.cleanup.callback(lambda: program.running() and program.kill())
        return program

    def start(self, **options):
        return self.prepare(**options).start()

    def feed(self, records):
        """Publishes records (dictionaries as in the samples)."""
        path = self.folder / "records.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        stack.feed(BUILD, self.kafka.brokers, str(path))

    def sql_with(self, query, old, new):
        """A copy of sql/ with one changed query."""
        folder = self.folder / f"sql{self.count}"
        shutil.copytree(ROOT / "sql", folder)
        path = folder / "queries" / query
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return folder


def registration(batch_id, user_id="teacher"):
    """The record of a batch's registration."""
    for line in (stack.SAMPLES / "current.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["topic"] == "huleedu.batch.essays.registered.v1":
            record["value"]["event_id"] = str(uuid.uuid4())
            record["value"]["data"] |= {"entity_id": batch_id, "user_id": user_id}
            return record
    raise AssertionError("the sample has no registration")

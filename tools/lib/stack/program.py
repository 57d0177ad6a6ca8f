"""The program, of this service or of another."""
import json
import os
import re
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

from .service import API_KEY, HEADERS, ROOT
from .process import Process, free_port


class Aggregator(Process):
    """The program. `env` overrides the environment that points it at the servers; `config` is a
    configuration file, the project's own if None."""

    tls = None  # the ssl.SSLContext of its clients, if its listener speaks TLS
    tree = ROOT  # the checkout whose config.lua it reads by default
    headers = HEADERS  # of its clients' requests

    def __init__(self, folder, build, database_url, redis_url, brokers, env=None, config=None):
        super().__init__(folder)
        self.options = ["--config", config] if config else []
        self.build, self.port, self.database_url = build, free_port(), database_url
        self.env = os.environ | self.variables(database_url, redis_url or "none", brokers) | (env or {})

    def variables(self, database_url, redis_url, brokers):
        return {
            "RESULT_AGGREGATOR_SERVICE_DATABASE_URL": database_url, "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": brokers, "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "HOST": "127.0.0.1", "PORT": str(self.port),
            "ADMIN_SOCKET": str(self.folder / "admin.sock"),
            "HULEEDU_INTERNAL_API_KEY": f"old-key,{API_KEY}"}

    def serve_tls(self, certificate, key, ca):
        """Its listener gets a certificate of that CA (paths). Before the start."""
        self.env |= {"AGGREGATOR_HTTP_TLS_CERTIFICATE": str(certificate),
                     "AGGREGATOR_HTTP_TLS_KEY": str(key)}
        self.tls = ssl.create_default_context(cafile=ca)
        return self

    def command(self, *arguments, check=True, **options):
        """Runs `aggregator ARGUMENTS` to its end; the completed process, with text output."""
        return subprocess.run(
            [self.build / "aggregator", *map(str, [*arguments, *self.options])], cwd=self.tree,
            env=self.env, check=check, capture_output=True, text=True, **options)

    def ask(self, verb):
        """Sends a verb to the program's socket, like `aggregator VERB` without its process."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.env["ADMIN_SOCKET"])
            client.sendall(f"{verb}\n".encode())
            with client.makefile() as answer:
                return json.loads(answer.readline())

    def start(self, wait=True):
        self.spawn([self.build / "aggregator", "run", *self.options], cwd=self.tree, env=self.env)
        if wait:
            self.wait_ready(lambda: self.get("/healthz")[0] in (200, 503))
        return self

    def get(self, path, headers=None, method="GET"):
        """(status, body, headers); status 0: no response."""
        scheme = "https" if self.tls else "http"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.port}{path}", method=method,
                                         headers=self.headers if headers is None else headers)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.tls) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers
        except OSError:
            return 0, b"", {}

    def status_of(self, batch_id):
        """The batch's response as a dictionary, or None."""
        status, body, _ = self.get(f"/internal/v1/batches/{batch_id}/status")
        return json.loads(body) if status == 200 else None

    def metric(self, name):
        """The sum of a metric's cells."""
        return self.sum_cells(re.escape(name))

    def sum_cells(self, pattern):
        text = self.get("/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if re.match(pattern + r"[ {]", line))


class OtherAggregator(Aggregator):
    """The program with another service: a folder with its config.lua. The variables of the settings,
    which no service has to read, point it at the servers."""

    def __init__(self, folder, build, service, urls, headers):
        """urls: of Postgres, Redis and Kafka. headers: of clients, with the API key as their first."""
        self.tree, self.headers = service, headers
        super().__init__(folder, build, *urls)
        self.log = self.folder / "aggregator.log"

    def variables(self, database_url, redis_url, brokers):
        return {
            "AGGREGATOR_CONFIG": str(self.tree / "config.lua"), "AGGREGATOR_POSTGRES_URL": database_url,
            "AGGREGATOR_REDIS_URL": redis_url, "AGGREGATOR_KAFKA_BROKERS": brokers,
            "AGGREGATOR_KAFKA_SESSION_TIMEOUT_MS": "6000", "AGGREGATOR_HTTP_HOST": "127.0.0.1",
            "AGGREGATOR_HTTP_PORT": str(self.port),
            "AGGREGATOR_ADMIN_SOCKET": str(self.folder / "admin.sock"),
            "AGGREGATOR_HTTP_API_KEYS": next(iter(self.headers.values()))}

    def metric(self, name):
        """Whatever its service.metric_prefix is."""
        return self.sum_cells(r"\w+_" + re.escape(name.removeprefix("ras_")))

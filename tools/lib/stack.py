"""Private servers on free loopback ports: Postgres, Redis, an embedded Kafka (apache_kafka.py has the real
one), and the program itself. Used by tools/run, the tests, the bench, the crash test and the soak.

Every process is a child with a death signal of its own: none outlives the one that started it. Each
has a session of its own, so that Ctrl-C in a terminal reaches only that one, which ends the others
in order.
"""
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "spec/fixtures/samples"
FULL_CONFIG = ROOT / "spec/fixtures/config/full.lua"  # that of an earlier release
POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
KAFKA_JARS = ROOT / ".kafka"
API_KEY = "test-key"
UNREAD_TOPIC = "huleedu.batch.spellcheck.phase.completed.v1"


def roots(tree):
    """Environment: the paths of a checkout's scripts and SQL, for any configuration file."""
    return {"SCRIPTS_ROOT": str(tree / "scripts"), "SQL_ROOT": str(tree / "sql")}


ROOTS = roots(ROOT)
HEADERS = {"X-Internal-API-Key": API_KEY, "X-Service-ID": "admin-dashboard-service"}


def wait_until(what, condition, seconds=120, interval_s=0.05):
    """The first true value of condition(); an AssertionError naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up waiting for {what}")
        time.sleep(interval_s)


RESERVED = []  # the sockets by whose abstract names other processes see which ports are taken


def free_port():
    """A port below those that the kernel gives to outgoing connections: no other process takes it
    before its server starts. It stays reserved while this process lives."""
    while True:
        port = random.randrange(10000, 32000)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as listener:
            try:
                name.bind(f"\0aggregator-port-{port}")
                listener.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        RESERVED.append(name)
        return port


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def topics_of(service):
    """Every topic that a handler of a service declares; the service is a folder."""
    found = set()
    for file in (service / "scripts/handlers").glob("*.lua"):
        declared = re.search(r"topics\s*=\s*{(.*?)}", file.read_text(), re.S)
        found |= set(re.findall(r'"([^"]+)"', declared[1])) if declared else set()
    return sorted(found)


def topics():
    """Those of this service, and one that no handler reads."""
    return topics_of(ROOT) + [UNREAD_TOPIC]


def tail(path):
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:])


def tethered(command, user=None, signal_name="KILL", parent=None):
    """Wraps a command so that it gets the signal when this process dies, also if this process dies
    before the kernel has registered that."""
    switches = ["--reuid", user, "--regid", user, "--clear-groups"]
    return ["setpriv", "--pdeathsig", signal_name,
            *(switches if user and os.geteuid() == 0 else ()), "--",
            "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(parent or os.getpid()),
            *map(str, command)]


class Process:
    """A child process with a log file. Subclasses define its command and when it is ready."""

    stop_signal = signal.SIGTERM
    death_signal = "KILL"  # sent to it when its parent dies
    start_limit_s = 60

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{type(self).__name__.lower()}.log"
        self.process = None

    def spawn(self, command, user=None, **options):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                tethered(command, user, self.death_signal), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def wait_ready(self, ready):
        """Returns when ready() is true; raises with the log if the process ends."""
        wait_until(f"{type(self).__name__} (see {self.log})",
                   lambda: not self.running() or ready(), self.start_limit_s)
        if not self.running():
            raise AssertionError(f"{type(self).__name__} did not start:\n{tail(self.log)}")

    def finish(self, what):
        """Waits for a preparing process; raises if it fails."""
        if self.process.wait() != 0:
            raise AssertionError(f"{what} failed:\n{tail(self.log)}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def pids(self):
        """Its own and its children's: a server's workers or backends."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True,
                               check=False)
        return [self.process.pid, *map(int, found.stdout.split())]

    def send(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, seconds=50):
        """Stops it by SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        self.send(self.stop_signal)
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Postgres(Process):
    """A cluster of its own. initdb and postgres refuse to run as root, and another user may not
    reach into this checkout: as root the data lies in the system's temporary folder, with a link
    to it."""

    stop_signal = signal.SIGINT
    wrapper = ()  # the command that runs it, as valgrind's

    def __init__(self, folder, settings=()):
        super().__init__(folder)
        self.port = free_port()
        self.settings = settings
        self.data = self.folder / "pgdata"

    def make_cluster(self):
        """Creates it under another name and renames it: initdb may be interrupted."""
        draft = self.folder / "pgdata.new"
        discard(draft)
        if os.geteuid() == 0:
            target = tempfile.mkdtemp(prefix="aggregator-pg.")
            draft.symlink_to(target)
            shutil.chown(target, "postgres", "postgres")
        self.fill_cluster(draft.resolve())
        draft.rename(self.data)

    def fill_cluster(self, folder):
        # A linguistic order of text: finds code that relies on the order of bytes without COLLATE.
        self.spawn([POSTGRES_BIN / "initdb", "-D", folder, "-A", "trust", "-U", "ras",
                    "-E", "UTF8", "--locale", "C", "--locale-provider", "icu", "--icu-locale",
                    "en-US", "-N"], user="postgres", cwd="/")
        self.finish("initdb")

    def start(self):
        if not self.data.exists():
            discard(self.data)
            self.make_cluster()
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", *self.settings)
        command = [*self.wrapper, POSTGRES_BIN / "postgres", "-D", self.data.resolve(),
                   "-p", self.port, *(f"-c{setting}" for setting in settings)]

        def accepting():
            # Processes of a killed server may still be ending: then the new server fails to start.
            if not self.running():
                self.spawn(command, user="postgres", cwd="/")
            return subprocess.run(
                [POSTGRES_BIN / "pg_isready", "-qh127.0.0.1", f"-p{self.port}", "-Uras",
                 "-dpostgres"], check=False).returncode == 0

        try:
            wait_until("Postgres", accepting, self.start_limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{tail(self.log)}") from error
        return self

    def url(self, database="postgres"):
        return f"postgresql://ras@127.0.0.1:{self.port}/{database}"

    def run(self, *statements):
        """Each outside a transaction."""
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", self.url(),
                        *(word for statement in statements for word in ("-c", statement))],
                       check=True, stdout=subprocess.DEVNULL)

    def create_database(self, name):
        return create_database(self.url(), name)

    def copy_database(self, name, template):
        """Copies the database `template`, which must have no connections."""
        subprocess.run([POSTGRES_BIN / "createdb", "--maintenance-db", self.url(), "--template",
                        template, "--strategy", "file_copy", name], check=True)

    def drop_database(self, name):
        subprocess.run([POSTGRES_BIN / "dropdb", "--maintenance-db", self.url(), name], check=True)

    def remove(self):
        discard(self.data)
        discard(self.folder / "pgdata.new")


class Standby(Postgres):
    """A hot standby of `primary`, which runs, until promote()."""

    def __init__(self, folder, primary):
        super().__init__(folder, primary.settings)
        self.primary = primary

    def fill_cluster(self, folder):
        self.spawn([POSTGRES_BIN / "pg_basebackup", "-D", folder, "-R", "-X", "stream", "-c", "fast",
                    "-N", "-h", "127.0.0.1", "-p", self.primary.port, "-U", "ras"], user="postgres",
                   cwd="/")
        self.finish("pg_basebackup")

    def promote(self):
        self.run("SELECT pg_promote()")


WITH_SBIN = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
PGBOUNCER = os.environ.get("PGBOUNCER", "pgbouncer")  # another one than Debian's


@functools.cache
def pgbouncer_version():
    """(major, minor) of the program that PGBOUNCER names."""
    shown = subprocess.run([PGBOUNCER, "--version"], check=True, capture_output=True, text=True,
                           env=WITH_SBIN)
    return tuple(map(int, re.search(r"PgBouncer (\d+)\.(\d+)", shown.stdout).groups()))


class PgBouncer(Process):
    """A pooler for `postgres`, in transaction mode by default. With one server connection, state that
    a client leaves behind meets the next client. From 1.21 on it keeps prepared statements."""

    def __init__(self, folder, postgres, mode="transaction", pool_size=1, settings=None):
        super().__init__(folder)
        self.port, self.postgres = free_port(), postgres
        self.mode, self.pool_size = mode, pool_size
        keeps = {"max_prepared_statements": 200} if pgbouncer_version() >= (1, 21) else {}
        self.settings = keeps | (settings or {})

    def write_settings(self):
        """Writes its configuration where its user can read it; it refuses to run as root."""
        file, name = tempfile.mkstemp(prefix="aggregator-pgbouncer.", suffix=".ini")
        with open(file, "w") as settings:
            settings.write(
                f"[databases]\n* = host=127.0.0.1 port={self.postgres.port} user=ras\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
                f"pool_mode = {self.mode}\ndefault_pool_size = {self.pool_size}\n"
                "auth_type = any\nadmin_users = ras\nunix_socket_dir =\nmax_client_conn = 400\n" +
                "".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        os.chmod(name, 0o644)
        return pathlib.Path(name)

    def start(self):
        settings = self.write_settings()
        self.spawn([PGBOUNCER, settings], user="postgres", cwd="/", env=WITH_SBIN)
        self.wait_ready(lambda: accepts(self.port))
        settings.unlink()
        return self

    def run(self, *commands):
        """Runs commands of its console."""
        for command in commands:
            subprocess.run(["psql", "-qX", self.url("pgbouncer"), "-c", command], check=True,
                           stdout=subprocess.DEVNULL)

    def url(self, database="postgres"):
        return f"postgresql://ras@127.0.0.1:{self.port}/{database}"


def discard(path):
    """Removes a folder, or a link and the folder it points to."""
    shutil.rmtree(path.resolve(), ignore_errors=True)
    if path.is_symlink():
        path.unlink()


def create_database(url, name, template="template1"):
    """Makes a database in the cluster that `url` points to, unless it is there; its URL. template:
    the database to copy, which must have no connections."""
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-v", f"name={name}",
                    "-v", f"template={template}", url],
                   input="SELECT format('CREATE DATABASE %I TEMPLATE %I', :'name', :'template') "
                         "WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') "
                         "\\gexec\n",
                   text=True, check=True)
    return url.rsplit("/", 1)[0] + "/" + name


class Redis(Process):
    """`options` are words for its command line."""

    def __init__(self, folder, options=()):
        super().__init__(folder)
        self.port, self.options = free_port(), options
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.spawn(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                    "--dir", self.folder, *self.options])
        self.wait_ready(lambda: accepts(self.port))
        return self

    def run(self, *words):
        """One command; an error is an exception."""
        subprocess.run(["redis-cli", "-e", "-p", str(self.port), *words], check=True,
                       stdout=subprocess.DEVNULL)


class EmbeddedKafka(Process):
    """librdkafka's mock cluster, which speaks Kafka's protocol. Its records end with it."""

    def __init__(self, folder, build, names=None, partitions=3):
        super().__init__(folder)
        self.build, self.names, self.partitions = build, names or topics(), partitions
        self.brokers = None

    def start(self):
        boot = self.folder / "brokers"
        boot.unlink(missing_ok=True)
        self.spawn([self.build / "mock_kafka", boot, self.partitions, *self.names])
        self.wait_ready(boot.exists)
        self.brokers = boot.read_text().strip()
        return self


def create_topics(build, brokers, names=None, partitions=3):
    """Creates missing topics: consumers find a topic late that its first event creates."""
    subprocess.run([build / "feed", "--create", str(partitions), brokers, *(names or topics())],
                   check=True)


def edited_config(path, *edits):
    """Writes a copy of a configuration that names every key, with edits: (old text, new text)."""
    text = FULL_CONFIG.read_text()
    for old, new in edits:
        assert text.count(old) == 1, f"{old}: later keys are in no line of {FULL_CONFIG}: add yours"
        text = text.replace(old, new)
    path.write_text(text)
    return path


def retaining_view(days, span_days):
    """The text of the service's view.lua, with a retention of its batches."""
    retention = f"""    retention = {{
      days = {days},
      span_days = {span_days},
      by = "registration",
      with = {{ phase_outcomes = "batch_id", assessments = "batch_id", essay_results = "linked_batch_id" }},
    }},
"""
    before = '    name = "batch_results",\n'
    text = (ROOT / "scripts/view.lua").read_text()
    assert text.count(before) == 1
    return text.replace(before, before + retention)


def with_retention(folder, days, span_days):
    """Copies the service's scripts into the folder, with a retention of its batches; the folder."""
    shutil.copytree(ROOT / "scripts", folder)
    (folder / "view.lua").write_text(retaining_view(days, span_days))
    return folder


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


def feed(build, brokers, stream, rate=0, wait=True):
    """Publishes spec/fixtures/samples/STREAM.jsonl (or a path), `rate` events a second (0: at
    once). Returns the process: ended, and the broker has all of it, unless wait is False."""
    path = stream if os.path.sep in str(stream) else SAMPLES / f"{stream}.jsonl"
    process = subprocess.Popen(tethered([build / "feed", brokers, path, rate]),
                               stdout=subprocess.DEVNULL, start_new_session=True)
    if wait and process.wait() != 0:
        raise AssertionError(f"publishing {path} failed")
    return process

"""PgBouncer: a pooler in front of a Postgres."""
import functools
import os
import pathlib
import re
import subprocess
import tempfile

from .process import Process, accepts, free_port

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

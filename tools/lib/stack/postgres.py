"""Postgres: a cluster, a standby, a database."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from .process import Process, free_port, tail, wait_until

POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


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

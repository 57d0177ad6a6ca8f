"""The database: a primary, and a standby that has every commit that was acknowledged, each behind a
proxy of its own. A failover makes the standby the primary, and then a new standby in the place of the
old primary."""
import itertools
import os
import signal

import psycopg2
import stack

from . import verify
from .proxy import Proxy

SETTINGS = ("fsync=off", "max_connections=200", "log_min_messages=panic", "wal_keep_size=256MB",
            "wal_retrieve_retry_interval=100ms")
STANDBY_LIMIT_S = 60


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Database:
    """`servers` and `proxies` are the deployment's, by name: "postgres" is the primary of now, "standby"
    the standby. `followers` are other proxies that forward to the primary. Any thread, one at a time;
    servers are children of the thread that calls."""

    def __init__(self, folder, loop, cleanup, servers, proxies):
        self.folder, self.loop, self.cleanup = folder, loop, cleanup
        self.servers, self.proxies = servers, proxies
        self.followers = []
        self.numbers = itertools.count()

    @property
    def primary(self):
        return self.servers["postgres"]

    def add(self, make):
        """Starts the server make(folder), and registers its stop."""
        server = make(self.folder / f"postgres{next(self.numbers)}")
        self.cleanup.callback(server.remove)
        self.cleanup.callback(server.kill)
        return server.start()

    def start(self):
        self.servers["postgres"] = self.add(lambda folder: stack.Postgres(folder, SETTINGS))
        self.proxies["postgres"] = Proxy(self.loop, self.primary.port)

    def make_role(self, name, password):
        """Creates a role with the rights of the owner, which needs its password."""
        self.primary.run(f"CREATE ROLE {name} LOGIN IN ROLE ras PASSWORD '{password}'")
        path = self.primary.data.resolve() / "pg_hba.conf"
        path.write_text(f"host all {name} all scram-sha-256\n{path.read_text()}")
        self.primary.run("SELECT pg_reload_conf()")

    def change_password(self, name, password):
        self.primary.run(f"ALTER ROLE {name} PASSWORD '{password}'",
                         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         f"WHERE usename = '{name}'")

    def follow(self):
        """A further proxy in front of the current primary."""
        self.followers.append(Proxy(self.loop, self.primary.port))
        return self.followers[-1]

    def cut_followers(self):
        for follower in self.followers:
            follower.cut()

    def add_standby(self):
        """After it returns, every acknowledged commit is on the standby."""
        standby = self.add(lambda folder: stack.Standby(folder, self.primary))
        self.servers["standby"] = standby
        if "standby" in self.proxies:
            self.proxies["standby"].retarget(standby.port)
        else:
            self.proxies["standby"] = Proxy(self.loop, standby.port)
        self.primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'",
                         "SELECT pg_reload_conf()")
        stack.wait_until("the standby to have all", self.is_in_sync, STANDBY_LIMIT_S)

    def is_in_sync(self):
        try:
            return verify.query(f"{self.primary.url()}?connect_timeout=2", """
                SELECT 1 FROM pg_stat_replication
                WHERE state = 'streaming' AND sync_state = 'sync'""") != []
        except psycopg2.Error:
            return False

    def freeze_primary(self):
        """Freezes the server and its backends: no connection gets a reply."""
        self.primary.send(signal.SIGSTOP)  # first: it makes no further ones
        signal_all(self.primary.pids(), signal.SIGSTOP)

    def promote(self):
        """Promotes the standby. The old primary, now named standby, must not run again."""
        standby = self.servers["standby"]
        standby.promote()
        for named in (self.servers, self.proxies):
            named["postgres"], named["standby"] = named["standby"], named["postgres"]
        for follower in self.followers:
            follower.retarget(standby.port)

    def replace_old(self):
        """Creates a new standby in place of the old primary."""
        old = self.servers["standby"]
        signal_all(old.pids(), signal.SIGKILL)
        old.kill()
        old.remove()
        self.add_standby()

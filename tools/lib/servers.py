#!/usr/bin/python3
"""servers: runs a command with a private Postgres, PgBouncer and Redis, which end with it.

    tools/lib/servers.py FOLDER COMMAND…    sets PG_TEST_URL, PGBOUNCER_TEST_URL and REDIS_TEST_URL
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import stack

# Tests run many programs at once on this cluster, and count their statements.
SETTINGS = ("max_connections=400", "fsync=off", "shared_preload_libraries=pg_stat_statements",
            "pg_stat_statements.track=all",
            # enough for all databases of a run: no statement is evicted
            "pg_stat_statements.max=20000")


def start(folder, cleanup):
    """Starts them; `cleanup`, an ExitStack, ends them. Returns the variables that name them."""
    postgres = stack.Postgres(folder, SETTINGS)
    cleanup.callback(postgres.remove)
    postgres.stop_signal = signal.SIGQUIT  # immediate: its data is removed, not written
    cleanup.callback(postgres.stop)
    redis = stack.Redis(folder)
    cleanup.callback(redis.stop)
    names = {"PG_TEST_URL": postgres.start().url(), "REDIS_TEST_URL": redis.start().url}
    pooler = stack.PgBouncer(folder, postgres)
    cleanup.callback(pooler.kill)
    return names | {"PGBOUNCER_TEST_URL": pooler.start().url()}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as cleanup:
        names = start(pathlib.Path(sys.argv[1]), cleanup)
        return subprocess.run(sys.argv[2:], env=os.environ | names, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Samples a process at rest that has used all its states and connections."""
import concurrent.futures
import re
import time
import uuid

import stack

from . import samples

LIMIT_S = 30
TICK_S = 0.01
# How long a server hangs at most, in the order in which a request asks them. Redis: for less than
# redis.timeout_ms, after which a reader closes its connection.
HOLD_LIMITS_S = {"redis": 0.2, "postgres": 5}
REDIS_POOL = 8  # connections for readers: host/cache/shared.c


def states():
    """Number of Lua states for requests, each with a database connection."""
    return int(re.search(r"states = (\d+)", stack.FULL_CONFIG.read_text())[1])


def most_connections(slot):
    """Of a process that has used all: states and readers, ingest workers, health check; of Redis
    also what listens for invalidations, and the audit of announcements."""
    workers = int(slot.program.env["INGEST_WORKERS"])
    return {"postgres": states() + workers + 1, "redis": REDIS_POOL + 2 * workers + 3}


def all_open(slot, proxies, name):
    """Whether a process has every connection to a server that it may have."""
    return samples.take(slot.program, proxies).connections[name] >= most_connections(slot)[name]


def release_when_open(slot, proxies, name):
    """Releases a held server once every connection to it is open, or after its limit."""
    end = time.monotonic() + HOLD_LIMITS_S[name]
    while not all_open(slot, proxies, name) and time.monotonic() < end:
        time.sleep(TICK_S)
    proxies[name].release()


def ask_in_every_state(slot, proxies):
    """Asks while Redis and Postgres hang: each request takes another connection of both."""
    asked = 2 * states()

    def ask():
        return slot.program.get(f"/internal/v1/batches/{uuid.uuid4()}/status")[0]

    with concurrent.futures.ThreadPoolExecutor(asked) as clients:
        for name in HOLD_LIMITS_S:
            proxies[name].hold()
        answers = [clients.submit(ask) for _ in range(asked)]
        for name in HOLD_LIMITS_S:
            release_when_open(slot, proxies, name)
        statuses = {answer.result() for answer in answers}
    if statuses != {404}:
        raise AssertionError(f"{slot} answers for unknown batches: {statuses}")


def open_all(slot, proxies):
    """Asks again where requests of a slow machine came too late for one hold."""

    def opened():
        ask_in_every_state(slot, proxies)
        return all(all_open(slot, proxies, name) for name in HOLD_LIMITS_S)

    stack.wait_until(f"every connection of {slot}", opened, LIMIT_S)


def settled(slot, proxies):
    """The sample of a process whose holdings have not changed for a while."""
    last = []

    def unchanged():
        last.append(samples.take(slot.program, proxies))
        return len({tuple(sample.at_rest().items()) for sample in last[-10:]}) == 1 and \
            len(last) >= 10

    stack.wait_until(f"{slot} to settle", unchanged, LIMIT_S, interval_s=0.1)
    return last[-1]


def more_than(before, slot, proxies):
    """Resources that a process holds beyond `before`; waits until there are none."""
    found = {}

    def returned():
        now = samples.take(slot.program, proxies).at_rest()
        found.clear()
        found.update({what: (count, now[what]) for what, count in before.at_rest().items()
                      if now[what] > count})
        return not found

    try:
        stack.wait_until(f"{slot} to be as before", returned, LIMIT_S, interval_s=0.2)
    except AssertionError:
        return [f"{slot} holds more {what} at rest than before: {now}, not {was}"
                for what, (was, now) in found.items()]
    return []

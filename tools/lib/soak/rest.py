"""Samples a process at rest that has used all its states and connections."""
import concurrent.futures
import re
import uuid

import stack

from . import samples

LIMIT_S = 30
REDIS_POOL = 8  # connections for readers: host/cache/shared.c


def states():
    """Number of Lua states for requests, each with a database connection."""
    return int(re.search(r"states = (\d+)", stack.FULL_CONFIG.read_text())[1])


def most_connections(slot):
    """Of a process that has used all: states and readers, ingest workers, health check; of Redis
    also what listens for invalidations, and the audit of announcements."""
    workers = int(slot.program.env["INGEST_WORKERS"])
    return {"postgres": states() + workers + 1, "redis": REDIS_POOL + 2 * workers + 3}


def ask_in_every_state(slot, proxies):
    """Makes every state connect: while the database hangs, each request takes another state."""
    asked = 2 * states()

    def ask():
        return slot.program.get(f"/internal/v1/batches/{uuid.uuid4()}/status")[0]

    with concurrent.futures.ThreadPoolExecutor(asked) as clients:
        proxies["postgres"].hold()
        try:
            answers = [clients.submit(ask) for _ in range(asked)]
            most = most_connections(slot)["postgres"]
            stack.wait_until("a connection for every state", lambda: samples.take(
                slot.program, proxies).connections["postgres"] >= most, 5)
        finally:
            proxies["postgres"].release()
        statuses = {answer.result() for answer in answers}
    if statuses != {404}:
        raise AssertionError(f"{slot} answers for unknown batches: {statuses}")


def open_all(slot, proxies):
    """Readers of Redis meet by chance only: asks until there were as many at once as may be."""

    def all_open():
        ask_in_every_state(slot, proxies)
        held = samples.take(slot.program, proxies).connections
        return all(held[name] >= most for name, most in most_connections(slot).items())

    stack.wait_until(f"every connection of {slot}", all_open, LIMIT_S)


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

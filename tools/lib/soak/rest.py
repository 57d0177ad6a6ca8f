"""A process at rest: what it holds when it has used all that it may hold, and nothing is asked of it."""
import concurrent.futures
import re
import uuid

import stack

from . import samples

LIMIT_S = 30


def states():
    """How many Lua states for requests there are, each with a database connection."""
    return int(re.search(r"states = (\d+)", (stack.ROOT / "config.lua").read_text())[1])


def ask_in_every_state(slot, proxies):
    """While the database does not answer, each request holds a state of its own: from then on all of
    them have their connection."""
    asked = 2 * states()

    def ask():
        return slot.program.get(f"/internal/v1/batches/{uuid.uuid4()}/status")[0]

    # Those of the ingest workers and of the health check are there already.
    most = states() + int(slot.program.env["INGEST_WORKERS"]) + 1
    with concurrent.futures.ThreadPoolExecutor(asked) as clients:
        proxies["postgres"].hold()
        try:
            answers = [clients.submit(ask) for _ in range(asked)]
            stack.wait_until("a connection for every state", lambda: samples.take(
                slot, proxies).connections["postgres"] >= most, 5)
        finally:
            proxies["postgres"].release()
        statuses = {answer.result() for answer in answers}
    if statuses != {404}:
        raise AssertionError(f"{slot} answers for unknown batches: {statuses}")


def settled(slot, proxies):
    """The sample of a process whose holdings have not changed for a while."""
    last = []

    def unchanged():
        last.append(samples.take(slot, proxies))
        return len({tuple(sample.at_rest().items()) for sample in last[-10:]}) == 1 and \
            len(last) >= 10

    stack.wait_until(f"{slot} to settle", unchanged, LIMIT_S, interval_s=0.1)
    return last[-1]


def more_than(before, slot, proxies):
    """What a process holds more of than `before`; waits until there is nothing."""
    found = {}

    def returned():
        now = samples.take(slot, proxies).at_rest()
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

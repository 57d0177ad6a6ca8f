"""What the program is given to do: batches that queries ask for, and a backlog of spell-check
results, most of essays that are new, some of essays of those batches."""
import datetime
import json

import spell_results
import stack

from .servers import committed
from .streams import ESSAYS

REGISTERED = "huleedu.batch.essays.registered.v1"
BATCHES = 50
USERS = 10
BATCHES_FOR_A_PAGE = 19  # of queries
RESTATED_EVERY = 200  # events of the backlog, so that cached answers are outdated now and then
FIRST_RESULT = datetime.datetime(2025, 7, 1)


def unique(kind, number):
    """An id of its own for each kind and number."""
    return f"{number:08x}-{kind:04x}-4000-8000-000000000000"


def batch_id(number):
    return unique(1, number)


def essay_id(batch, number):
    return unique(2, batch * ESSAYS + number)


def status_paths():
    return [f"/internal/v1/batches/{batch_id(number)}/status" for number in range(BATCHES)]


def paths():
    """What queries ask for, each as often as any other: mostly batches, now and then a page of a
    user's."""
    users = [f"/internal/v1/batches/user/teacher-{number}?limit=5" for number in range(USERS)]
    return status_paths() * BATCHES_FOR_A_PAGE + users * (BATCHES // USERS)


def registrations():
    with open(stack.SAMPLES / "current.jsonl", encoding="utf-8") as lines:
        sample = next(record for record in map(json.loads, lines) if record["topic"] == REGISTERED)
    for number in range(BATCHES):
        record = json.loads(json.dumps(sample))
        value, data = record["value"], record["value"]["data"]
        record["key"] = data["entity_id"] = data["metadata"]["entity_id"] = batch_id(number)
        value["event_id"] = unique(3, number)
        data["essay_ids"] = [essay_id(number, essay) for essay in range(ESSAYS)]
        data["expected_essay_count"] = ESSAYS
        data["user_id"] = f"teacher-{number % USERS}"
        yield record


class Stream:
    """Counts what it has written, to be held against what the view has in the end."""

    restated_every = RESTATED_EVERY

    def __init__(self):
        self.results = 0
        self.essays = BATCHES * ESSAYS

    def write_registered(self, path):
        """The batches, and a result of each of their essays."""
        changes = [self.result_of(number) for number in range(self.essays)]
        spell_results.write(path, changes)
        with open(path, "a", encoding="utf-8") as out:
            out.writelines(json.dumps(record) + "\n" for record in registrations())

    def write_backlog(self, path, count):
        spell_results.write(path, (self.next_result() for _ in range(count)))

    def result_of(self, number):
        """The next result, of an essay of a registered batch."""
        self.results += 1
        at = FIRST_RESULT + datetime.timedelta(milliseconds=self.results)
        return {"event_id": unique(4, self.results), "essay_id": unique(2, number),
                "batch_id": batch_id(number // ESSAYS),
                "at": at.isoformat(timespec="milliseconds") + "Z"}

    def next_result(self):
        if self.results % self.restated_every == 0:
            return self.result_of(self.results // self.restated_every * 7 % (BATCHES * ESSAYS))
        self.results += 1
        self.essays += 1
        return {"event_id": unique(4, self.results), "essay_id": unique(5, self.essays),
                "batch_id": unique(6, self.essays // ESSAYS)}


def begin(servers, program, url):
    """Starts a program on an empty database, and waits until it has the batches. The stream, for
    what comes next."""
    events, path = Stream(), servers.folder / "registered.jsonl"
    events.write_registered(path)
    servers.feed(path)
    program.start()
    stack.wait_until("the batches", lambda: committed(url) == events.results + BATCHES)
    return events

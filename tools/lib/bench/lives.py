"""Whole lives of batches of one user, each of thirty essays, copied from a sample's batch."""
import collections
import datetime
import itertools
import json
import uuid

import spell_results
import stack
from crashtest.stream import UUID, exchanger

from .streams import ESSAYS

REGISTERED = "huleedu.batch.essays.registered.v1"
SLOT = "huleedu.els.essay.slot.assigned.v1"
OUTCOME = "huleedu.els.batch.phase.outcome.v1"
ASSESSED = "huleedu.assessment.result.published.v1"
COMPLETED = "huleedu.batch.pipeline.completed.v1"
HOUR = b"2025-06-28T08:"  # in which the sample's batch lives
FIRST_HOUR = datetime.datetime(2024, 1, 1)
# How far every tenth batch has come, by its number: kinds of its events.
STAGES = {0: (REGISTERED,),
          1: (REGISTERED, SLOT, spell_results.TOPIC),
          2: (REGISTERED, SLOT, spell_results.TOPIC, OUTCOME)}
WHOLE = (REGISTERED, SLOT, spell_results.TOPIC, OUTCOME, ASSESSED, COMPLETED)
ENDED = 10 - len(STAGES)  # of ten


def sample():
    """{topic: records} of the sample's first batch that has an event of each kind."""
    batches = {}
    for line in (stack.SAMPLES / "current.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        data = record["value"]["data"]
        batch_id = data.get("batch_id") or data["entity_id"]
        batches.setdefault(batch_id, collections.defaultdict(list))[record["topic"]].append(record)
    return next(kinds for kinds in batches.values()
                if all(topic in kinds for topic in WHOLE) and HOUR.decode() in str(kinds[COMPLETED]))


def of_essays(records, essay_ids):
    """A copy of the first record for each essay, with other ids except those of the batch."""
    first = records[0]
    data = first["value"]["data"]
    kept = {data["batch_id"].encode(), data["correlation_id"].encode()}
    own = (data.get("essay_id") or data["entity_id"]).encode()
    line = json.dumps(first).encode()
    for essay_id in essay_ids:
        ids = collections.defaultdict(lambda: str(uuid.uuid4()).encode(), {own: essay_id.encode()})
        yield UUID.sub(lambda match, ids=ids: match[0] if match[0] in kept else ids[match[0]], line)


def named(record, essay_ids):
    """The record of a batch, about these essays."""
    data = record["value"]["data"]
    if record["topic"] == REGISTERED:
        data |= {"essay_ids": essay_ids, "expected_essay_count": len(essay_ids)}
    elif record["topic"] == OUTCOME:
        data |= {"failed_essay_ids": [], "processed_essays": [
            {"essay_id": essay_id, "text_storage_id": f"corr-{uuid.uuid4()}"}
            for essay_id in essay_ids]}
    elif record["topic"] == ASSESSED:
        item = next(item for item in data["essay_results"] if not item["is_anchor"])
        data["essay_results"] = [item | {"essay_id": essay_id, "rank": rank}
                                 for rank, essay_id in enumerate(essay_ids, 1)]
    return json.dumps(record).encode()


def whole_life(essays=ESSAYS):
    """[(topic, line)] of one batch, in their order."""
    kinds, essay_ids = sample(), [str(uuid.uuid4()) for _ in range(essays)]
    return [(topic, line) for topic in WHOLE for line in (
        of_essays(kinds[topic], essay_ids) if topic in (SLOT, spell_results.TOPIC) else
        (named(record, essay_ids) for record in kinds[topic]))]


class Lives:
    """Writes lives; `events` counts them."""

    def __init__(self):
        self.life = whole_life()
        self.user = json.loads(self.life[0][1])["value"]["data"]["user_id"].encode()
        self.events = 0

    def lines(self, user, number):
        """Of the user's batch of that number: the higher, the newer."""
        hour = (FIRST_HOUR + datetime.timedelta(hours=number)).strftime("%Y-%m-%dT%H:").encode()
        exchange = exchanger(lambda: str(uuid.uuid4()).encode())
        for topic, line in self.life:
            if topic in STAGES.get(number % 10, WHOLE):
                self.events += 1
                yield exchange(line).replace(HOUR, hour).replace(self.user, user.encode()) + b"\n"

    def feed(self, servers, user, batches, chunk=1000):
        """Publishes so many batches of a user."""
        path = servers.folder / "lives.jsonl"
        for begun in range(0, batches, chunk):
            with open(path, "wb") as out:
                out.writelines(itertools.chain.from_iterable(
                    self.lines(user, number) for number in range(begun, min(begun + chunk, batches))))
            servers.feed(path)
        path.unlink(missing_ok=True)

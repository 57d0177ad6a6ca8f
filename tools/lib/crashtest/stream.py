"""An endless stream of events: copies of the sample streams with fresh ids, mixed."""
import base64
import collections
import json
import random
import re
import uuid

from stack import SAMPLES

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NAMES = ("current", "first", "current-hard", "first-unlinked")
AT_ONCE = 6  # copies that are mixed

# malformed: the problem, or None. A record without value or without key has b"" here:
# confluent_kafka does not tell them apart when it reads.
Event = collections.namedtuple("Event", "topic key value malformed")


def read_sample(name):
    events = []
    for line in (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "value" in record:
            value = json.dumps(record["value"], ensure_ascii=False).encode()
        else:
            value = base64.b64decode(record["raw_b64"] or "")
        events.append(Event(record["topic"], (record["key"] or "").encode(), value,
                            record.get("poison")))
    return events


def exchanger(fresh_id):
    """A function that exchanges every id of a text (bytes), the same always for the same; made by
    fresh_id() as they are met."""
    ids = collections.defaultdict(fresh_id)
    return lambda text: UUID.sub(lambda match: ids[match.group()], text)


class Stream:
    """An endless iterator; the same seed gives the same events."""

    def __init__(self, seed):
        self.random = random.Random(f"{seed}/stream")
        self.samples = {name: read_sample(name) for name in NAMES}
        self.copies = 0
        self.batch_ids = []  # of the copies begun, oldest first

    def fresh_id(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4)).encode()

    def copy(self):
        self.copies += 1
        return self.copy_of(NAMES[(self.copies - 1) % len(NAMES)])

    def copy_of(self, name):
        """The sample with every id exchanged; duplicates stay duplicates."""
        exchange = exchanger(self.fresh_id)
        for event in self.samples[name]:
            copied = event._replace(key=exchange(event.key), value=exchange(event.value))
            if event.topic.endswith("essays.registered.v1"):
                self.batch_ids.append(copied.key.decode())
            yield copied

    def __iter__(self):
        copies = [self.copy() for _ in range(AT_ONCE)]
        while True:
            index = self.random.randrange(AT_ONCE)
            event = next(copies[index], None)
            if event:
                yield event
            else:
                copies[index] = self.copy()

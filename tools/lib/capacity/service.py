"""The services that can be measured: what their events are about, and what is fed and asked for."""
import itertools
import random

import stack
from bench import lives, streams
from crashtest import verify

ALL_HISTORY = {"OUTBOX_HORIZON_HOURS": "876000",  # the samples are old, and are published all the same
               "KAFKA_SESSION_TIMEOUT_MS": "300000"}  # the program stands still while it is fed
ASKED = 50  # batches that queries ask for
LEAST_RECORDS = 165000  # that measuring and checking feed


class Batches:
    """The service of this tree: whole lives of batches, a hundred at once."""

    name, unit, part, sizes = "result-aggregator", "batch", "essay", (5, 40)

    def __init__(self):
        self.topics = stack.topics()
        self.headers = stack.HEADERS

    def program(self, place, name, url, env):
        return stack.Aggregator(place.folder / name, place.build, url, place.redis.url,
                                place.kafka.brokers, stack.ROOTS | ALL_HISTORY | env)

    def unit_events(self, size):
        return len(lives.whole_life(size))

    def records(self, size):
        """Lines without an end, as `feed` reads them."""
        lines = [line + b"\n" for _, line in lives.whole_life(size)]
        return streams.mixed(lines, begun=True)

    def paths(self, url):
        found = verify.query(url, "SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL")
        ids = [batch_id for batch_id, in found]
        return [f"/internal/v1/batches/{batch_id}/status"
                for batch_id in random.Random(1).sample(ids, min(ASKED, len(ids)))]


class Other:
    """Another service, by a file of its records and the paths that clients ask for. Its unit is an
    event of the file's mix."""

    unit, part, sizes = "event", "", (1,)

    def __init__(self, folder, records, paths, headers):
        self.folder, self.name = folder, folder.name
        self.topics, self.headers = stack.topics_of(folder), headers
        self.asked = paths
        self.lines = records.read_bytes().splitlines(keepends=True)
        if len(self.lines) < LEAST_RECORDS:
            raise ValueError(f"{records} has {len(self.lines):,} records: {LEAST_RECORDS:,} are fed")

    def program(self, place, name, url, env):
        urls = url, place.redis.url, place.kafka.brokers
        program = stack.OtherAggregator(place.folder / name, place.build, self.folder, urls,
                                        self.headers)
        program.env |= {"AGGREGATOR_OUTBOX_HORIZON_HOURS": ALL_HISTORY["OUTBOX_HORIZON_HOURS"],
                        "AGGREGATOR_KAFKA_SESSION_TIMEOUT_MS":
                        ALL_HISTORY["KAFKA_SESSION_TIMEOUT_MS"]} | env
        return program

    def unit_events(self, size):
        return size

    def records(self, size):
        return itertools.islice(self.lines, len(self.lines) // size)

    def paths(self, url):
        return self.asked

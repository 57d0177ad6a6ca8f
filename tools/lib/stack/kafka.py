"""Kafka: an embedded one, topics, and publishing."""
import os
import subprocess

from .service import SAMPLES, topics
from .process import Process, tethered


class EmbeddedKafka(Process):
    """librdkafka's mock cluster, which speaks Kafka's protocol. Its records end with it."""

    def __init__(self, folder, build, names=None, partitions=3):
        super().__init__(folder)
        self.build, self.names, self.partitions = build, names or topics(), partitions
        self.brokers = None

    def start(self):
        boot = self.folder / "brokers"
        boot.unlink(missing_ok=True)
        self.spawn([self.build / "mock_kafka", boot, self.partitions, *self.names])
        self.wait_ready(boot.exists)
        self.brokers = boot.read_text().strip()
        return self


def create_topics(build, brokers, names=None, partitions=3):
    """Creates missing topics: consumers find a topic late that its first event creates."""
    subprocess.run([build / "feed", "--create", str(partitions), brokers, *(names or topics())],
                   check=True)


def feed(build, brokers, stream, rate=0, wait=True):
    """Publishes spec/fixtures/samples/STREAM.jsonl (or a path), `rate` events a second (0: at
    once). Returns the process: ended, and the broker has all of it, unless wait is False."""
    path = stream if os.path.sep in str(stream) else SAMPLES / f"{stream}.jsonl"
    process = subprocess.Popen(tethered([build / "feed", brokers, path, rate]),
                               stdout=subprocess.DEVNULL, start_new_session=True)
    if wait and process.wait() != 0:
        raise AssertionError(f"publishing {path} failed")
    return process

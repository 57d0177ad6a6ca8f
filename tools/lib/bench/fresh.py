"""Time from an event to a response that has it: from produce() to the end of the response.

Beside a steady stream of spell-check results it publishes results of essays of its own batch, one
after the other, and asks for the batch's status over one connection until the answer shows the
result. The machine does nothing else."""
import http.client
import json
import statistics
import time

import confluent_kafka
import spell_results
import stack

from . import stream
from .report import Report, percentile
from .servers import Servers, committed

RATE = 1000  # events a second
MOST_P50_MS, MOST_P99_MS = 4, 15
PATIENCE_S = 10  # for one result
PAUSE_S = 0.02  # between two, so that they do not meet in one transaction
LOOK_AGAIN_S = 0.0002  # so that asking does not take a core from those who are asked
SETTLE_S = 2  # of the stream before the first is measured


def add_options(parser):
    parser.add_argument("--results", type=int, default=500, help="that are waited for")
    parser.add_argument("--quick", action="store_true", help="100 results")


class Probe:
    """Publishes one result at a time and looks for it."""

    def __init__(self, program, brokers):
        self.client = http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE_S)
        self.producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 0})
        self.path = f"/internal/v1/batches/{stream.batch_id(0)}/status"
        text, held = spell_results.template()
        self.text, self.held = text, held
        self.asked = 0
        self.etag = '""'  # of the answer that was read last

    def record(self, number):
        """Of the essay that is restated now, later than all before, with a count of its own."""
        change = {"event_id": stream.unique(7, number), "essay_id": stream.essay_id(0, 0),
                  "batch_id": stream.batch_id(0), "corrections": 1000 + number,
                  "at": f"2025-08-01T{number // 3600:02}:{number // 60 % 60:02}:"
                        f"{number % 60:02}.000000Z"}
        record = json.loads(self.text % (self.held | change))
        return record["key"].encode(), json.dumps(record["value"]).encode()

    def shows(self, count):
        self.asked += 1
        self.client.request("GET", self.path, headers=stack.HEADERS | {"If-None-Match": self.etag})
        answer = self.client.getresponse()
        body = answer.read()
        if answer.status == 304:
            return False
        self.etag = answer.getheader("ETag")
        if answer.status != 200:
            raise AssertionError(f"{self.path}: {answer.status} {body[:200]}")
        return any(essay["spellcheck_correction_count"] == count
                   for essay in json.loads(body)["essays"])

    def once(self, number):
        """Milliseconds until it is shown."""
        key, value = self.record(number)
        began = time.monotonic()
        self.producer.produce(spell_results.TOPIC, value, key)
        self.producer.poll(0)
        while not self.shows(1000 + number):
            if time.monotonic() - began > PATIENCE_S:
                raise AssertionError(f"result {number} is not shown after {PATIENCE_S} s")
            time.sleep(LOOK_AGAIN_S)
        return (time.monotonic() - began) * 1000


def start(options, folder, cleanup, *edits):
    """The program (with edits of config.lua) beside the steady stream, and its servers."""
    servers = Servers(options, folder, cleanup, redis=True)
    program, url = servers.program("ras_fresh", {"INGEST_WORKERS": "1"}, *edits)
    events = stream.begin(servers, program, url)
    events.write_backlog(folder / "steady.jsonl", RATE * (60 + options.results // 5))
    before = committed(url)
    steady = stack.feed(options.build, servers.kafka.brokers, folder / "steady.jsonl", RATE,
                        wait=False)
    cleanup.callback(steady.wait)
    cleanup.callback(steady.terminate)
    stack.wait_until("the stream to flow",
                     lambda: committed(url) > before + RATE * SETTLE_S)
    return program, servers


def measure(options, program, servers):
    """Milliseconds that each result took, and how many queries all of them."""
    probe = Probe(program, servers.kafka.brokers)
    waits_ms = []
    for number in range(options.results):
        waits_ms.append(probe.once(number))
        time.sleep(PAUSE_S)
    return waits_ms, probe.asked


def run(options, folder, cleanup):
    if options.quick:
        options.results = 100
    waits_ms, asked = measure(options, *start(options, folder, cleanup))
    report = Report(f"{options.results} results, one after the other, beside {RATE:,} events/s",
                    ("", ""))
    report.at_most("published to answered, p50", statistics.median(waits_ms), "ms", MOST_P50_MS)
    report.at_most("published to answered, p99", percentile(waits_ms, 99), "ms", MOST_P99_MS)
    report.add("published to answered, longest", max(waits_ms), "ms")
    report.add("queries for each", asked / options.results)
    report.print()
    if options.json:
        report.write(options.json, waits_ms=waits_ms)
    return report.problems()

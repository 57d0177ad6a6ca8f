"""Reference costs of the same events: tools/bare writes their rows without Kafka, scripts and offsets,
tools/consume only reads them."""
import itertools
import os
import re
import subprocess

import spell_results
import stack

BATCH_EVENTS = 4000  # as ingest.batch_max_events
SINGLE_EVENTS_MOST = 10000  # which take it as long as a quarter of a million take the others


def measured(command, events, env=None):
    done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          text=True, env=os.environ | (env or {}))
    seconds, cpu_us = map(float, re.fullmatch(r"([\d.]+) s, ([\d.]+) us of CPU a row\n",
                                              done.stdout).groups())
    return {"events_per_second": events / seconds, "own_cpu_us": cpu_us}


def count_lines(file):
    with open(file, "rb") as lines:
        return sum(1 for _ in lines)


def head(file, count):
    """A file of its first lines."""
    path = file.with_suffix(".head")
    with open(file, "rb") as lines, open(path, "wb") as out:
        out.writelines(itertools.islice(lines, count))
    return path


class Bare:
    """Writes the rows of the same events with as many connections as there are workers: by one statement a
    table for each batch, and by one transaction an event."""

    def __init__(self, servers, options, files):
        self.servers, self.options, self.files = servers, options, files

    def command(self, file, batch, url):
        return [self.servers.build / "bare", stack.ROOT / "config.lua", file, self.options.workers, batch, url]

    def write(self, number, name, files, batch):
        """The figures of the last file."""
        _, url = self.servers.program(f"{name}_{number}", {})
        env = {"INGEST_BATCH_MAX_EVENTS": str(batch)}
        return [measured(self.command(file, batch, url), count_lines(file), env) for file in files][-1]

    def contestants(self):
        few = [head(file, SINGLE_EVENTS_MOST) for file in self.files]
        return {"bare": lambda number: self.write(number, "bare", self.files, BATCH_EVENTS),
                "single": lambda number: self.write(number, "single", few, 1)}


def consume(servers, events):
    """The spell checks' topic from its beginning to its end."""
    return measured([servers.build / "consume", servers.kafka.brokers, events,
                     spell_results.TOPIC], events)

"""Reference costs of the same events: tools/bare writes their rows without Kafka, scripts and offsets,
tools/consume only reads them."""
import re
import subprocess

import spell_results

BATCH_ROWS = 4000  # as ingest.batch_max_events
SINGLE_ROWS_MOST = 10000  # which take it as long as a quarter of a million take the others


def measured(command, events):
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True)
    seconds, cpu_us = map(float, re.fullmatch(r"([\d.]+) s, ([\d.]+) us of CPU a row\n",
                                              done.stdout).groups())
    return {"events_per_second": events / seconds, "own_cpu_us": cpu_us}


class Bare:
    """Writes as many rows of one table as there are events, with as many connections as there are
    workers: by the better of two batched statements, and by one statement and transaction a row."""

    def __init__(self, servers, options):
        self.servers, self.options = servers, options

    def write(self, number, name, mode, rows, batch, again=False):
        _, url = self.servers.program(f"bare_{name}_{number}", {})
        command = [self.servers.build / "bare", mode, rows, self.options.workers, batch]
        if again:
            measured([*command, url], rows)
            command.append("--again")
        return measured([*command, url], rows)

    def contestants(self):
        again, rows = self.options.stream == "again", self.options.events
        return {
            "bare unnest": lambda number: self.write(number, "unnest", "unnest", rows, BATCH_ROWS,
                                                     again),
            "bare copy": lambda number: self.write(number, "copy", "copy", rows, BATCH_ROWS, again),
            "single": lambda number: self.write(number, "single", "unnest",
                                                min(rows, SINGLE_ROWS_MOST), 1, again),
        }


def consume(servers, events):
    """The spell checks' topic from its beginning to its end."""
    return measured([servers.build / "consume", servers.kafka.brokers, events,
                     spell_results.TOPIC], events)

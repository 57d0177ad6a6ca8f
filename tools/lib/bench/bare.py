"""The limit: the same rows written by tools/bare, without Kafka, scripts and offsets."""
import re
import subprocess

MODES = ("unnest", "copy")
BATCH_ROWS = 4000  # as ingest.batch_max_events


def run(servers, name, mode, rows, connections):
    """{events_per_second, own_cpu_us} of a new database."""
    _, url = servers.program(name, {})
    done = subprocess.run([servers.build / "bare", mode, str(rows), str(connections),
                           str(BATCH_ROWS), url], check=True, capture_output=True, text=True)
    seconds, cpu_us = map(float, re.fullmatch(r"([\d.]+) s, ([\d.]+) us of CPU a row\n",
                                              done.stdout).groups())
    return {"events_per_second": rows / seconds, "own_cpu_us": cpu_us}

"""How fast a backlog drains from Kafka into committed rows.

Publishes spell-check results (current release, one row each, all new), then starts the program on
an empty database and times from its first committed offset to its last. In turn with it tools/bare
writes as many of the same rows with as many connections as fast as Postgres takes them. Prints each
run's rate, the CPU time of its own and of Postgres per event, and resident memory; then the medians,
and the program's rate as a share of the faster of the two ways to write."""
import contextlib
import pathlib
import statistics
import subprocess
import time
import uuid

import spell_results
import stack

from . import bare
from .servers import Servers, committed


def add_options(parser):
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--redis", action="store_true", help="with the memory of seen events")


def write_stream(path, events):
    """All new: an event id and an essay id each."""
    spell_results.write(path, ({"event_id": uuid.uuid4(), "essay_id": uuid.uuid4()}
                               for _ in range(events)))


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / 100


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *map(int, found.stdout.split())]


def most_resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0


def run_once(options, servers, number):
    program, url = servers.program(f"run{number}", {"INGEST_WORKERS": str(options.workers)})
    program.start()
    stack.wait_until("the first commit", lambda: committed(url) > 0)
    before, started = committed(url), time.monotonic()
    own_pids, database_pids = [program.process.pid], children(servers.postgres.process.pid)
    own, theirs = cpu_seconds(own_pids), cpu_seconds(database_pids)
    stack.wait_until("the last commit", lambda: committed(url) >= options.events, 600)
    seconds, events = time.monotonic() - started, options.events - before
    figures = {"events_per_second": events / seconds,
               "own_cpu_us": (cpu_seconds(own_pids) - own) / events * 1e6,
               "postgres_cpu_us": (cpu_seconds(database_pids) - theirs) / events * 1e6,
               "resident_mb": most_resident_mb(program.process.pid)}
    program.stop()
    return figures


def measure(options, servers, number):
    """The contestants in turn: name to figures."""
    figures = {"aggregator": run_once(options, servers, number)}
    for mode in bare.MODES:
        figures[f"bare {mode}"] = bare.run(servers, f"bare_{mode}_{number}", mode, options.events,
                                           options.workers)
    return figures


def show(title, figures):
    print(title, *(f"{key} {value:.1f}" for key, value in figures.items()), flush=True)


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def run(options, folder, cleanup):
    servers = Servers(options, folder, cleanup, options.redis)
    write_stream(folder / "spell.jsonl", options.events)
    servers.feed(folder / "spell.jsonl")
    runs = []
    for number in range(options.runs):
        runs.append(measure(options, servers, number))
        for name, figures in runs[-1].items():
            show(f"{number + 1} {name:12}", figures)
    middle = {name: medians([run[name] for run in runs]) for name in runs[0]}
    for name, figures in middle.items():
        show(f"= {name:12}", figures)
    rates = {name: figures["events_per_second"] for name, figures in middle.items()}
    limit = max(rates[f"bare {mode}"] for mode in bare.MODES)
    print(f"aggregator / bare: {rates['aggregator'] / limit:.2f}")
    return []

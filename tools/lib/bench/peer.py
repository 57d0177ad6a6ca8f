"""Throughput of a backlog of spell checks, beside a plain consumer for this event only.

tools/peer.c is that: librdkafka as it comes, jsmn, libpq, one upsert for some thousand events, no
scripts, no memory of seen events. Both drain the same backlog into empty databases with the same
tables, in turn, several times. Ratios are those within each turn. Exits with 1 where the rows of
the two are not the same."""
import statistics

import spell_results
import stack
from crashtest import verify

from . import drain, streams
from .report import Report
from .servers import Servers

LEAST_RATE, MOST_CPU = 2.2, 1.5  # of the peer's
ROWS = """
    SELECT count(*), bit_xor(hashtextextended(row(essay_id, spellcheck_at, spellcheck_event_id,
      spellcheck_status, spellcheck_correction_count, spellcheck_corrected_text_storage_id,
      spellcheck_metrics::jsonb, result_link_at, result_link_event_id, result_batch_id,
      first_result_at)::text, 0))
    FROM essay_results"""


def add_options(parser):
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="100,000 events, one run")


class Peer(stack.Process):
    """tools/peer.c. What it prints is how many events are committed, batch by batch."""

    def __init__(self, folder, build, brokers, url):
        super().__init__(folder)
        self.command = [build / "peer", brokers, folder.name, spell_results.TOPIC, url]

    def start(self):
        self.spawn(self.command)
        return self

    def committed(self):
        if not self.running():
            raise AssertionError(f"the peer has ended:\n{stack.tail(self.log)}")
        lines = self.log.read_text().splitlines() or ["0"]
        if not lines[-1].isdigit():
            raise AssertionError(f"the peer says: {lines[-1]}")
        return int(lines[-1])


def run_program(servers, events, number):
    """(figures, rows)"""
    name = f"program{number}"
    program, url = servers.program(name, {})
    return finished(servers, name, drain.timed(program, url, servers, (0, events)))


def run_peer(servers, events, number):
    """(figures, rows). The program makes the tables."""
    name = f"peer{number}"
    _, url = servers.program(name, {})
    peer = Peer(servers.folder / name, servers.build, servers.kafka.brokers, url)
    servers.cleanup.callback(peer.stop)
    return finished(servers, name, drain.measured(peer, peer.committed, servers, (0, events)))


def finished(servers, name, figures):
    rows = verify.query(servers.postgres.url(name), ROWS)[0]
    servers.postgres.drop_database(name)
    return figures, rows


def shares(runs, key):
    return [own[key] / other[key] for own, other in zip(runs["aggregator"], runs["peer"])]


def judge(options, runs, rows):
    report = Report(f"spell: {options.events:,} events, one worker, {options.runs} runs",
                    ("runs", "median"))
    for name, figures in runs.items():
        for key in figures[0]:
            report.median(name, [run[key] for run in figures], drain.UNITS[key])
    report.median("rate, of the peer's", shares(runs, "events_per_second"), "times", LEAST_RATE)
    for name, key, most in (("own CPU", "own_cpu_us", MOST_CPU),
                            ("Postgres' CPU", "postgres_cpu_us", None),
                            ("resident at most", "resident_mb", None)):
        found = shares(runs, key)
        if most:
            report.at_most(f"{name}, of the peer's", statistics.median(found), "times", most,
                           runs=found)
        else:
            report.median(f"{name}, of the peer's", found, "times")
    report.none("events without a row", sum(abs(counted[0] - options.events)
                                            for found in rows.values() for counted in found))
    report.none("turns whose rows differ", sum(own != other for own, other in
                                               zip(rows["aggregator"], rows["peer"])))
    return report


def run(options, folder, cleanup):
    if options.quick:
        options.events, options.runs = 100000, 1
    servers = Servers(options, folder, cleanup, redis=False)
    streams.publish(servers, folder, "spell", options.events)
    contestants = {"aggregator": run_program, "peer": run_peer}
    runs, rows = {name: [] for name in contestants}, {name: [] for name in contestants}
    for number in range(options.runs):
        for name, measure in contestants.items():
            figures, held = measure(servers, options.events, number)
            runs[name].append(figures)
            rows[name].append(held)
            drain.show(f"{number + 1} {name}", figures)
    report = judge(options, runs, rows)
    report.print()
    if options.json:
        report.write(options.json, runs=runs)
    return report.problems()

"""Judges a run: compares the view and the responses of the disturbed deployment with the log and with
an undisturbed program."""
import json
import subprocess
import time

import stack

from . import log, outbox, retention, verify
from .deployment import PARTITIONS

DRAIN_LIMIT_S = 180
STOP_LIMIT_S = 30
READY_LIMIT_S = 45
PROBLEMS_SHOWN = 20
NEWEST = 1000  # batches: more than are read within a cache's time to live


class Findings:
    """Facts and problems of the report."""

    def __init__(self):
        self.facts, self.problems = [], []

    def fact(self, title, number, text=""):
        self.facts.append(f"{title:<24}{number:6}   {text}".rstrip())

    def report(self):
        """Prints them; returns the problems."""
        more = len(self.problems) - PROBLEMS_SHOWN
        print(*self.facts, *(f"PROBLEM: {problem}" for problem in self.problems[:PROBLEMS_SHOWN]),
              *([f"PROBLEM: and {more} more"] if more > 0 else []), sep="\n")
        return self.problems


def judge_ends(deployment, findings):
    """Stops the processes by SIGTERM."""
    for slot in deployment.slots:
        slot.term()
    for slot in deployment.slots:
        try:
            status = slot.program.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            status = f"nothing for {STOP_LIMIT_S} s"
        if status != 0:
            findings.problems.append(f"{slot} ended with {status} after SIGTERM")


def times_held_off(deployment):
    """Number of offset conflicts: another process had moved the offsets."""
    return sum('"another process moved the offsets' in line or
               "a rebalance dropped the open batch" in line and '"kind":"conflict"' in line
               for path in deployment.folder.glob("program*/*.log")
               for line in path.read_text(errors="replace").splitlines())


def times_replaced(deployment):
    return sum('"the scripts were replaced"' in line
               for path in deployment.folder.glob("program*/*.log")
               for line in path.read_text(errors="replace").splitlines())


def judge_processes(deployment, findings):
    """The processes end in order; those frozen during a takeover got a conflict."""
    judge_ends(deployment, findings)
    findings.fact("scripts replaced", times_replaced(deployment), "times, where all was well")
    held_off = times_held_off(deployment)
    findings.fact("offsets found moved", held_off, "times a process stepped back")
    if not held_off:
        findings.problems.append("no zombie was held off: the run proves nothing about them")


def judge_readiness(deployment, findings):
    """Every process has reconnected to all its servers by itself."""
    said, started = {}, time.monotonic()

    def all_ready():
        for slot in deployment.slots:
            body = slot.program.get("/readyz")[1]
            said[slot] = json.loads(body)["dependencies"] if body else {"process": {"status": "silent"}}
        return not any(missing(dependencies) for dependencies in said.values())

    def missing(dependencies):
        return {name: state for name, state in dependencies.items() if state["status"] != "healthy"}

    try:
        stack.wait_until("readiness", all_ready, READY_LIMIT_S, interval_s=0.2)
        findings.fact("ready in s", round(time.monotonic() - started, 1), "after the last act")
    except AssertionError:
        findings.problems += [f"{slot} {READY_LIMIT_S} s after the last act: {missing(dependencies)}"
                              for slot, dependencies in said.items() if missing(dependencies)]


def judge_accounting(deployment, producer, records, ends, findings):
    url = deployment.database_url()
    held = verify.offsets(url)
    totals = {outcome: sum(counts[outcome] for _, counts in held.values())
              for outcome in verify.OUTCOMES}
    findings.fact("events produced", sum(producer.acknowledged.values()),
                  f"in the log {len(records)}, of topics that are read {sum(ends.values())}")
    findings.fact("accounted for", sum(totals.values()),
                  ", ".join(f"{outcome} {count}" for outcome, count in totals.items()))
    findings.problems += (
        verify.check_published(records, producer.acknowledged) + verify.check_history(url) +
        verify.check_accounting(held, ends) +
        verify.check_rejected(url, records, producer.malformed, deployment.topics))


def judge_answers(deployment, clean, where, findings):
    """All batches for one program; for the others the newest, which a cache may still hold."""
    wanted = verify.read_answers(clean, where)
    for slot in deployment.slots:
        first = 0 if slot is deployment.slots[0] else max(0, len(where) - NEWEST)
        findings.problems += verify.check_answers(slot.program, where[first:], wanted[first:])
    findings.fact("answers compared", len(where), "of one process; of the others the newest")


def judge(deployment, producer, journal, findings):
    judge_readiness(deployment, findings)
    url = deployment.database_url()
    reader = log.open_reader(deployment.kafka.brokers)
    ends = log.end_offsets(reader, deployment.topics, PARTITIONS)
    drained_s = verify.wait_drained(url, ends, DRAIN_LIMIT_S)
    findings.fact("drained in s", round(drained_s, 1), "after the end of faults and stream")
    journal.say("drained; reading the log")
    records = log.read_all(reader, log.end_offsets(reader, deployment.fed, PARTITIONS))
    reader.close()
    journal.say("an undisturbed program reads the same log")
    clean, clean_url = deployment.start_clean()
    verify.wait_drained(clean_url, ends, DRAIN_LIMIT_S)
    for database in (url, clean_url):
        verify.analyze(database)
    for slot in deployment.slots:
        slot.program.wait_ready(lambda slot=slot: slot.program.get("/healthz")[0] in (200, 503))
    journal.say("comparing")
    judge_accounting(deployment, producer, records, ends, findings)
    known = outbox.registered(clean_url)
    deployment.retention.remove_what_left(clean_url)
    findings.problems += verify.check_view(verify.dump(url, deployment.folder / "dump"),
                                           verify.dump(clean_url, deployment.folder / "dump-clean"))
    journal.say("reading what was published")
    outbox.judge(deployment, clean_url, known, findings)
    judge_answers(deployment, clean, verify.paths(clean_url, producer.stream.batch_ids), findings)
    retention.judge(deployment, findings)
